-- What evaluation knows: each product's recognitions as the last event says them, and which products exist.

CREATE TABLE recognition (                     -- id: the product's
    id     uuid  PRIMARY KEY,
    tenant text  NOT NULL CHECK (tenant <> ''),
    data   jsonb NOT NULL
);

-- Written from the registry's topic alone; of a product, existence and tenant count.
CREATE TABLE known_product (
    id     uuid PRIMARY KEY,
    tenant text NOT NULL CHECK (tenant <> '')
);

GRANT SELECT, INSERT, UPDATE ON recognition TO ocop_app;
GRANT SELECT, INSERT, DELETE ON known_product TO ocop_app;
