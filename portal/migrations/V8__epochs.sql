-- The last list of each earlier epoch that the property's lists contain.
CREATE TABLE list_contained (
    property BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (property, epoch)
);

-- Controllers of which a restored database knows nothing, by the signer's memory: they may hold uses of keys.
CREATE TABLE forgotten_controller (
    property BYTEA NOT NULL,
    door BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (property, door, generation)
);
