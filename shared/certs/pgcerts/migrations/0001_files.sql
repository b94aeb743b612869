-- What certificate authorities give and ask: accounts, keys, certificates, challenges. A name is a path.
CREATE TABLE files (
    name     text COLLATE "C" PRIMARY KEY,
    content  bytea NOT NULL,
    modified timestamptz NOT NULL DEFAULT now()
);

-- Who works on something now. A lease that is not renewed is over, by the database's clock.
CREATE TABLE locks (
    name    text COLLATE "C" PRIMARY KEY,
    holder  uuid NOT NULL,
    expires timestamptz NOT NULL
);
