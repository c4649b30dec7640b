package org.apache.calcite.util;

/** Named in signatures of one of Hive's optimizer steps; Calcite itself is not among PySpark's jars. */
public class Pair<A, B> {
    public final A left;
    public final B right;

    public Pair(A left, B right) {
        this.left = left;
        this.right = right;
    }

    public static <A, B> Pair<A, B> of(A left, B right) {
        return new Pair<>(left, right);
    }
}
