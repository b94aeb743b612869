-- A role and a database for each relay, and one for certificates, which both use in the name of the role web. For psql,
-- as the superuser, once. The roles have no passwords: on a Unix socket Postgres asks the system who connects.
CREATE ROLE smp LOGIN;
CREATE ROLE xftp LOGIN;
CREATE ROLE web;
CREATE DATABASE smp OWNER smp;
CREATE DATABASE xftp OWNER xftp;
CREATE DATABASE web OWNER web;
REVOKE ALL ON DATABASE smp, xftp, web FROM PUBLIC;
GRANT web TO smp, xftp;
ALTER ROLE smp IN DATABASE web SET role = 'web';
ALTER ROLE xftp IN DATABASE web SET role = 'web';
