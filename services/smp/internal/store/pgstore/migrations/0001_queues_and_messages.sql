-- One row. epoch counts the relay processes that have opened the store: a process that lost its lock learns from
-- it whether another one was here meanwhile.
CREATE TABLE store (
    epoch bigint NOT NULL
);
INSERT INTO store (epoch) VALUES (0);

-- Queue records (smp.md 8.1). The ids are never used again: identity columns only count up.
-- fillfactor leaves room for updates in place; no column that changes is indexed.
CREATE TABLE queues (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient_id     bytea NOT NULL UNIQUE,
    sender_id        bytea NOT NULL UNIQUE,
    recipient_keys   bytea[] NOT NULL,     -- DER
    dh_secret        bytea NOT NULL,
    sender_key       bytea,                -- DER; null: not secured
    mode             "char" NOT NULL,      -- M, C or a zero byte
    status           "char" NOT NULL,      -- A, O or B
    blocking_reason  text NOT NULL DEFAULT '',
    blocking_notice  boolean NOT NULL DEFAULT false,
    blocking_ttl     bigint NOT NULL DEFAULT 0,
    updated_day      integer NOT NULL      -- days since the Unix epoch
) WITH (fillfactor = 85);

-- Short link data (smp.md 9.12), opaque and encrypted, so compressing it is wasted time.
CREATE TABLE links (
    link_id     bytea PRIMARY KEY,
    queue_id    bigint NOT NULL UNIQUE REFERENCES queues (id) ON DELETE CASCADE,
    fixed_data  bytea NOT NULL,
    user_data   bytea NOT NULL
);
ALTER TABLE links ALTER fixed_data SET STORAGE EXTERNAL, ALTER user_data SET STORAGE EXTERNAL;

-- Entries of queues in their order (smp.md 8.4). There is no foreign key: it would cost a look-up and a row lock
-- for each message. Deleting a queue deletes its messages in the same transaction.
-- The relay vacuums this table itself, often; autovacuum is the second line.
CREATE TABLE messages (
    queue_id  bigint NOT NULL,
    seq       bigint NOT NULL,
    time      bigint NOT NULL,    -- nanoseconds since the Unix epoch: clients see nine digits
    flags     smallint NOT NULL,  -- 1: notify, 2: quota marker
    msg_id    bytea NOT NULL,
    body      bytea NOT NULL,
    PRIMARY KEY (queue_id, seq)
) WITH (
    vacuum_truncate = false,
    autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_cost_delay = 0,
    toast.vacuum_truncate = false,
    toast.autovacuum_vacuum_threshold = 400000,
    toast.autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE messages ALTER body SET STORAGE EXTERNAL;
