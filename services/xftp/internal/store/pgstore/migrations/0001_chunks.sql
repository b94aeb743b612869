-- One row. epoch counts the relay processes that have opened the store: a process that lost its lock learns from
-- it whether another one was here meanwhile.
CREATE TABLE store (
    epoch bigint NOT NULL
);
INSERT INTO store (epoch) VALUES (0);

-- Numbers of chunks and bodies. A process takes a block of them at a time. They are never used again.
CREATE SEQUENCE numbers MINVALUE 0 INCREMENT BY 65536;

-- Everything is partitioned by the period in which a chunk was created, and each period's tables are dropped as a
-- whole when the last of its chunks has expired. A period is named by the hour since the Unix epoch that it begins
-- with: chunks_483210 and so on. The relay makes the partitions.
CREATE TABLE periods (
    period  integer PRIMARY KEY,
    until   integer NOT NULL       -- the hour after its last one
);

-- Chunk records (xftp.md 10.1).
CREATE TABLE chunks (
    ref              bigint NOT NULL,
    body             bigint,           -- the number of its pages; null: it has no body
    size             bigint NOT NULL,  -- bytes
    created          bigint NOT NULL,  -- seconds since the Unix epoch
    blocking_ttl     bigint NOT NULL DEFAULT 0,
    period           integer NOT NULL,
    blocked          boolean NOT NULL DEFAULT false,
    blocking_notice  boolean NOT NULL DEFAULT false,
    blocking_reason  text NOT NULL DEFAULT '',
    sender_id        bytea NOT NULL,
    sender_key       bytea NOT NULL,   -- DER
    digest           bytea NOT NULL,
    PRIMARY KEY (period, ref),
    UNIQUE (period, sender_id)
) PARTITION BY LIST (period);

-- Recipients. There is no foreign key: deleting a chunk deletes its recipients in the same transaction.
CREATE TABLE recipients (
    ref           bigint NOT NULL,
    period        integer NOT NULL,
    recipient_id  bytea NOT NULL,
    key           bytea NOT NULL,      -- DER
    PRIMARY KEY (period, recipient_id)
) PARTITION BY LIST (period);
CREATE INDEX ON recipients (period, ref);

-- The journal of uploads: a row is there from before the first page of a body is stored until the body belongs to a
-- chunk, or its pages are gone again. What a crash leaves behind is found by it.
CREATE TABLE uploads (
    body    bigint NOT NULL,
    period  integer NOT NULL,
    PRIMARY KEY (period, body)
) PARTITION BY LIST (period);

-- Pages of bodies. Each row fills one page of the table, next to nothing is wasted, and nothing is compressed or moved
-- to a second table.
CREATE TABLE pages (
    body    bigint NOT NULL,
    period  integer NOT NULL,
    no      integer NOT NULL,          -- from 0
    data    bytea NOT NULL,
    PRIMARY KEY (period, body, no)
) PARTITION BY LIST (period);
ALTER TABLE pages ALTER data SET STORAGE PLAIN;
