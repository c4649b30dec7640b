package org.apache.hadoop.hive.ql.udf.generic;

import org.apache.hadoop.hive.ql.exec.UDFArgumentException;
import org.apache.hadoop.hive.serde2.objectinspector.ObjectInspector;
import org.apache.hadoop.hive.serde2.objectinspector.StructObjectInspector;

/** Registered among the functions of every session; the real one is for LLAP and needs Tez, which is not here. */
public class GenericUDTFGetSplits extends GenericUDTF {
    @Override
    @SuppressWarnings("deprecation") // Hive still calls this one
    public StructObjectInspector initialize(ObjectInspector[] arguments) throws UDFArgumentException {
        throw new UDFArgumentException("get_splits is not available here");
    }

    @Override
    public void process(Object[] arguments) {}

    @Override
    public void close() {}
}
