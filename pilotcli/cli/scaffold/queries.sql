-- A comment line `-- name:` above a query gives it a name.

-- name: orders_a_day
SELECT day, count(*), sum(amount) FROM orders GROUP BY day ORDER BY day;

-- name: best_countries
SELECT c.country, sum(o.amount) AS total
FROM customers AS c JOIN orders AS o ON o.customer = c.id
GROUP BY c.country ORDER BY total DESC;

-- name: big_orders
SELECT count(*) FROM orders WHERE amount > 190;

-- name: one_customer
SELECT o.id, o.amount FROM orders AS o WHERE o.customer = 42 ORDER BY o.day;

-- name: new_customers
SELECT count(*) FROM customers WHERE since >= date '2023-01-01';

-- name: customers_without_orders
SELECT count(*) FROM customers AS c
WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.customer = c.id);

-- name: january_in_france
SELECT count(*), avg(o.amount)
FROM customers AS c JOIN orders AS o ON o.customer = c.id
WHERE c.country = 'fr' AND o.day < date '2024-02-01';

-- name: loyal_customers
SELECT c.id, count(*) AS orders
FROM customers AS c JOIN orders AS o ON o.customer = c.id
WHERE c.since < date '2021-01-01'
GROUP BY c.id HAVING count(*) > 20 ORDER BY orders DESC LIMIT 10;

-- name: running_total
SELECT day, sum(sum(amount)) OVER (ORDER BY day) FROM orders GROUP BY day ORDER BY day;

-- name: same_day_pairs
SELECT count(*)
FROM orders AS a JOIN orders AS b ON a.day = b.day AND a.customer = b.customer AND a.id < b.id;
