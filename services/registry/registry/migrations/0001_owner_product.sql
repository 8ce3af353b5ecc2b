-- What the registry knows: each aggregate as its last event says it.

CREATE TABLE owner (
    id     uuid  PRIMARY KEY,
    tenant text  NOT NULL CHECK (tenant <> ''),
    data   jsonb NOT NULL
);

CREATE TABLE product (
    id     uuid  PRIMARY KEY,
    tenant text  NOT NULL CHECK (tenant <> ''),
    data   jsonb NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON owner, product TO ocop_app;
