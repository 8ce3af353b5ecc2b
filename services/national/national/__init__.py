"""The national OCOP database: projectors, query API and pages."""
