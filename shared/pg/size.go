package pg

// CountBytes asks how much of the disk a database takes. Postgres looks at the size of each file: that takes milliseconds,
// whatever is in them.
const CountBytes = "SELECT pg_database_size(current_database())"
