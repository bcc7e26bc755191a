"""How tables and indexes are kept: the Spark session, writes, reads, gates, index bundles and the pointer to the live one."""
