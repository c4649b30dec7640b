package org.apache.hadoop.hive.llap.io.api;

/** Named in signatures of Hive's input formats; LLAP itself is not among PySpark's jars. */
public interface LlapIo<T> {}
