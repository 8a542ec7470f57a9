-- Code points are text as the standard writes them ('1F600'); `number` and `*_number` are the same as integers.
CREATE TABLE sources (file TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE ranges (id INTEGER PRIMARY KEY, first TEXT, last TEXT, first_number INTEGER, last_number INTEGER, name TEXT,
    category TEXT, members INTEGER, named INTEGER);    -- named: its members are rows of characters, too

CREATE TABLE characters (codepoint TEXT NOT NULL, number INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT,
    combining_class INTEGER, bidi_class TEXT, decomposition TEXT, decimal TEXT, digit TEXT, numeric TEXT, mirrored TEXT,
    old_name TEXT, uppercase TEXT, lowercase TEXT, titlecase TEXT,
    range_id TEXT);    -- the range it was listed as a member of; empty: it has a line of its own

CREATE TABLE blocks (first TEXT, last TEXT, first_number INTEGER PRIMARY KEY, last_number INTEGER, name TEXT);
CREATE TABLE scripts (first TEXT, last TEXT, first_number INTEGER PRIMARY KEY, last_number INTEGER, name TEXT);
CREATE TABLE ages (first TEXT, last TEXT, first_number INTEGER PRIMARY KEY, last_number INTEGER, version TEXT);
CREATE TABLE emoji_properties (first TEXT, last TEXT, first_number INTEGER, last_number INTEGER, property TEXT);
CREATE TABLE aliases (codepoint TEXT, alias TEXT, kind TEXT);
CREATE TABLE emoji (sequence TEXT PRIMARY KEY, status TEXT, emoji TEXT, version TEXT, name TEXT, emoji_group TEXT,
    subgroup TEXT);
CREATE TABLE readings (codepoint TEXT, field TEXT, value TEXT);    -- of ideographs: meaning, pronunciation
