#!/bin/sh
# Each character learns its block, script, age and whether it is an emoji; then the indexes that queries use.
. "$(dirname "$0")/common.sh"

tell step places
tell progress 0/3 "block, script and age of each character"
sql <<'SQL'
BEGIN;
ALTER TABLE characters ADD COLUMN block TEXT;
ALTER TABLE characters ADD COLUMN script TEXT;
ALTER TABLE characters ADD COLUMN age TEXT;
ALTER TABLE characters ADD COLUMN emoji INTEGER NOT NULL DEFAULT 0;
-- The range that begins last at or before the character; it holds the character if it also ends at or behind it.
UPDATE characters SET
    block = (SELECT iif(last_number >= number, name, NULL) FROM blocks
             WHERE first_number <= number ORDER BY first_number DESC LIMIT 1),
    script = (SELECT iif(last_number >= number, name, NULL) FROM scripts
              WHERE first_number <= number ORDER BY first_number DESC LIMIT 1),
    age = (SELECT iif(last_number >= number, version, NULL) FROM ages
           WHERE first_number <= number ORDER BY first_number DESC LIMIT 1);
-- CROSS JOIN: for each of the few ranges its characters, never the other way round.
UPDATE characters SET emoji = 1 WHERE number IN (SELECT c.number FROM emoji_properties e CROSS JOIN characters c
    WHERE e.property = 'Emoji' AND c.number BETWEEN e.first_number AND e.last_number);
COMMIT;
SQL
echo "characters know their block, script, age and emoji"

tell step indexes
tell progress 1/3 indexes
sql <<'SQL'
BEGIN;
CREATE UNIQUE INDEX characters_codepoint ON characters (codepoint);
CREATE INDEX characters_name ON characters (name);
CREATE INDEX characters_block ON characters (block);
CREATE INDEX characters_script ON characters (script);
CREATE INDEX aliases_codepoint ON aliases (codepoint);
CREATE INDEX readings_codepoint ON readings (codepoint, field);
COMMIT;
SQL
echo "6 indexes"

tell step compact
tell progress 2/3 compacting
sql 'ANALYZE' 'VACUUM'
echo "$(wc -c <"$database") bytes"
tell progress 3/3
