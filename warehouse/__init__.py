"""How tables and indexes are kept: session, writes, reads, gates, index bundles, the pointer to the live one."""
