"""Operations pages: what people look at, read only; every action is a link to the DAG that does it."""
