-- The roles and databases of all services on one server, as ocop.provision makes them. Passwords are those of dev.
CREATE ROLE ocop_app NOLOGIN;
CREATE ROLE ocop_http NOLOGIN;

CREATE ROLE gateway_owner LOGIN PASSWORD 'dev';
CREATE ROLE gateway_app LOGIN PASSWORD 'dev' IN ROLE ocop_app;
CREATE ROLE gateway_http LOGIN PASSWORD 'dev' IN ROLE ocop_http;
CREATE DATABASE ocop_gateway OWNER gateway_owner;
REVOKE CONNECT ON DATABASE ocop_gateway FROM PUBLIC;
GRANT CONNECT ON DATABASE ocop_gateway TO gateway_owner, gateway_app, gateway_http;

CREATE ROLE registry_owner LOGIN PASSWORD 'dev';
CREATE ROLE registry_app LOGIN PASSWORD 'dev' IN ROLE ocop_app;
CREATE ROLE registry_http LOGIN PASSWORD 'dev' IN ROLE ocop_http;
CREATE DATABASE ocop_registry OWNER registry_owner;
REVOKE CONNECT ON DATABASE ocop_registry FROM PUBLIC;
GRANT CONNECT ON DATABASE ocop_registry TO registry_owner, registry_app, registry_http;

CREATE ROLE evaluation_owner LOGIN PASSWORD 'dev';
CREATE ROLE evaluation_app LOGIN PASSWORD 'dev' IN ROLE ocop_app;
CREATE ROLE evaluation_http LOGIN PASSWORD 'dev' IN ROLE ocop_http;
CREATE DATABASE ocop_evaluation OWNER evaluation_owner;
REVOKE CONNECT ON DATABASE ocop_evaluation FROM PUBLIC;
GRANT CONNECT ON DATABASE ocop_evaluation TO evaluation_owner, evaluation_app, evaluation_http;

CREATE ROLE marketplace_owner LOGIN PASSWORD 'dev';
CREATE ROLE marketplace_app LOGIN PASSWORD 'dev' IN ROLE ocop_app;
CREATE ROLE marketplace_http LOGIN PASSWORD 'dev' IN ROLE ocop_http;
CREATE DATABASE ocop_marketplace OWNER marketplace_owner;
REVOKE CONNECT ON DATABASE ocop_marketplace FROM PUBLIC;
GRANT CONNECT ON DATABASE ocop_marketplace TO marketplace_owner, marketplace_app, marketplace_http;

CREATE ROLE notifications_owner LOGIN PASSWORD 'dev';
CREATE ROLE notifications_app LOGIN PASSWORD 'dev' IN ROLE ocop_app;
CREATE ROLE notifications_http LOGIN PASSWORD 'dev' IN ROLE ocop_http;
CREATE DATABASE ocop_notifications OWNER notifications_owner;
REVOKE CONNECT ON DATABASE ocop_notifications FROM PUBLIC;
GRANT CONNECT ON DATABASE ocop_notifications TO notifications_owner, notifications_app, notifications_http;

CREATE ROLE national_owner LOGIN PASSWORD 'dev';
CREATE ROLE national_app LOGIN PASSWORD 'dev' IN ROLE ocop_app;
CREATE ROLE national_http LOGIN PASSWORD 'dev' IN ROLE ocop_http;
CREATE DATABASE ocop_national OWNER national_owner;
REVOKE CONNECT ON DATABASE ocop_national FROM PUBLIC;
GRANT CONNECT ON DATABASE ocop_national TO national_owner, national_app, national_http;
