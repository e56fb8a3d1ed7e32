-- A guest key names the key that its author granted it from, and what its author asked for (JSON): of that, all_doors,
-- key_door and rules hold as much as the parent has.
ALTER TABLE door_key ADD COLUMN parent BYTEA;
ALTER TABLE door_key ADD COLUMN asked_doors TEXT;
ALTER TABLE door_key ADD COLUMN asked_rules TEXT;
CREATE INDEX door_key_parent ON door_key (property, parent);
CREATE INDEX door_key_author ON door_key (property, created_by, ordinal);

-- Who may grant guest keys, and of which kinds. Residents none, unless it says so.
ALTER TABLE property ADD COLUMN guest_keys TEXT NOT NULL DEFAULT '{}';
