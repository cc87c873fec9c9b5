-- A small shop: 2,000 customers, 20,000 orders.
CREATE TABLE customers (
    id integer PRIMARY KEY,
    country text NOT NULL,
    since date NOT NULL
);

CREATE TABLE orders (
    id integer PRIMARY KEY,
    customer integer NOT NULL REFERENCES customers,
    day date NOT NULL,
    amount numeric(8, 2) NOT NULL
);

INSERT INTO customers
SELECT n, (ARRAY['de', 'fr', 'it', 'pl'])[1 + n % 4], date '2020-01-01' + n % 1500
FROM generate_series(1, 2000) AS n;

INSERT INTO orders
SELECT n, 1 + (n::bigint * n) % 2000, date '2024-01-01' + n % 365, 5 + (n * 37) % 20000 / 100.0
FROM generate_series(1, 20000) AS n;

CREATE INDEX ON orders (customer);
ANALYZE customers, orders;
