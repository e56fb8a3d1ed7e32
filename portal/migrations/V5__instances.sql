-- Running portals that share this database. One whose beat stands still is gone.
CREATE TABLE instance (
    id BYTEA NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL
);

-- Which instance holds a door's line, while it stands.
ALTER TABLE door ADD COLUMN instance BYTEA;
CREATE INDEX door_instance ON door (instance);
