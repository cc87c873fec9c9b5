-- The demo's database: a question-and-answer forum. The server generates the data itself.
--
-- All data comes from row numbers and hash functions, so every server gets the same rows.
-- Counters are true: a post's score is the sum of its votes, a user's reputation comes from
-- the posts, and a tag's post_count counts post_tags.
--
-- The data is skewed and correlated on purpose, as in a real forum. A planner that multiplies
-- selectivities and assumes uniform keys cannot see how:
--   * A few users write most posts, comments and votes, and have most reputation and badges.
--   * A few posts of each season get most votes, comments, views, answers and links.
--   * Answers have no views of their own, and only questions have tags.
--   * Tags come and go with the seasons, and prefer a language.
--   * The city determines the country. The country nearly determines the language of posts.
--   * Votes and comments come soon after the post.
--
-- Runs in one transaction, on PostgreSQL 13 or newer.

-- Compiling these statements takes longer than running them.
SET LOCAL jit = off;

CREATE TABLE users (
    id integer NOT NULL,
    display_name text NOT NULL,
    country text NOT NULL,
    city text NOT NULL,
    language text NOT NULL,
    reputation integer NOT NULL,
    post_count integer NOT NULL,
    votes_cast integer NOT NULL,
    is_moderator boolean NOT NULL,
    created_at timestamp NOT NULL,
    last_seen_at timestamp NOT NULL
);

CREATE TABLE posts (
    id integer NOT NULL,
    kind text NOT NULL,                  -- question, answer
    parent_id integer,                   -- of an answer: its question
    accepted_answer_id integer,          -- of a question
    owner_id integer NOT NULL,
    language text NOT NULL,
    score integer NOT NULL,
    view_count integer NOT NULL,         -- of questions; 0 for answers
    answer_count integer NOT NULL,
    comment_count integer NOT NULL,
    body_length integer NOT NULL,
    created_at timestamp NOT NULL,
    closed_at timestamp
);

CREATE TABLE comments (
    id integer NOT NULL,
    post_id integer NOT NULL,
    user_id integer NOT NULL,
    score integer NOT NULL,
    length integer NOT NULL,
    created_at timestamp NOT NULL
);

CREATE TABLE votes (
    id integer NOT NULL,
    post_id integer NOT NULL,
    user_id integer NOT NULL,
    kind text NOT NULL,                  -- up, down, favorite, bounty, close
    bounty integer,
    created_at timestamp NOT NULL
);

CREATE TABLE badges (
    id integer NOT NULL,
    user_id integer NOT NULL,
    name text NOT NULL,
    class text NOT NULL,                 -- gold, silver, bronze: follows from the name
    awarded_at timestamp NOT NULL
);

CREATE TABLE tags (
    id integer NOT NULL,
    name text NOT NULL,
    topic text NOT NULL,
    post_count integer NOT NULL
);

CREATE TABLE post_tags (
    post_id integer NOT NULL,
    tag_id integer NOT NULL
);

CREATE TABLE links (
    id integer NOT NULL,
    post_id integer NOT NULL,
    related_post_id integer NOT NULL,
    kind text NOT NULL,                  -- linked, duplicate
    created_at timestamp NOT NULL
);

-- Autovacuum would set visibility bits at some time during the first runs. That would change plans
-- while you compare them. These tables do not need it, because nothing updates them.
ALTER TABLE users SET (autovacuum_enabled = off);
ALTER TABLE posts SET (autovacuum_enabled = off);
ALTER TABLE comments SET (autovacuum_enabled = off);
ALTER TABLE votes SET (autovacuum_enabled = off);
ALTER TABLE badges SET (autovacuum_enabled = off);
ALTER TABLE tags SET (autovacuum_enabled = off);
ALTER TABLE post_tags SET (autovacuum_enabled = off);
ALTER TABLE links SET (autovacuum_enabled = off);

-- Helper functions, dropped at the end. They use only +, -, * and / on floating-point numbers: by
-- IEEE 754 these give the same result everywhere. power() and ln() can differ between C libraries.

-- Returns a number in [0, 1) that depends only on n and seed.
CREATE FUNCTION forum_random(n bigint, seed integer) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT (hashint8extended(n, seed) & 4503599627370495)::double precision
        / 4503599627370496.0';

-- Turns a uniform number into a mostly small one: half of the results are below 1/8.
CREATE FUNCTION forum_cube(x double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT x * x * x';

-- Returns the post with a given rank of popularity (0 to 1999, 0 is the highest) in a season (0 to
-- 29). 7919 and 2000 have no common divisor, so the ranks are spread over the season's posts.
CREATE FUNCTION forum_post(season integer, rank integer) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT season * 2000 + (rank * 7919) % 2000 + 1';

-- Returns the time at which a share (0 to 1) of the forum's ten years is over.
CREATE FUNCTION forum_moment(share double precision) RETURNS timestamp
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT timestamp ''2015-01-01'' + floor(share * 315532800.0) * interval ''1 second''';

-- Returns a user who is registered after that share of the ten years. The first users are by far the
-- most active.
CREATE FUNCTION forum_member(share double precision, x double precision) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT floor((1000.0 + 19000.0 * share) * x)::integer + 1';

-- Returns where a user lives: a row of forum_cities.
CREATE FUNCTION forum_city(user_id integer) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT floor(24 * forum_random(user_id, 11) * forum_random(user_id, 12))::integer';

CREATE TABLE forum_cities AS
SELECT row_number() OVER () - 1 AS id, city, country, language
FROM (VALUES
    ('New York', 'United States', 'en'), ('San Francisco', 'United States', 'en'),
    ('Bangalore', 'India', 'en'), ('London', 'United Kingdom', 'en'),
    ('Seattle', 'United States', 'en'), ('Berlin', 'Germany', 'de'),
    ('Mumbai', 'India', 'en'), ('Sao Paulo', 'Brazil', 'pt'),
    ('Moscow', 'Russia', 'ru'), ('Toronto', 'Canada', 'en'),
    ('Munich', 'Germany', 'de'), ('Paris', 'France', 'fr'),
    ('Madrid', 'Spain', 'es'), ('Kyiv', 'Ukraine', 'ru'),
    ('Tokyo', 'Japan', 'ja'), ('Lyon', 'France', 'fr'),
    ('Mexico City', 'Mexico', 'es'), ('Rio de Janeiro', 'Brazil', 'pt'),
    ('Montreal', 'Canada', 'fr'), ('Vienna', 'Austria', 'de'),
    ('Osaka', 'Japan', 'ja'), ('Lisbon', 'Portugal', 'pt'),
    ('Zurich', 'Switzerland', 'de'), ('Bogota', 'Colombia', 'es')
) AS place (city, country, language);

INSERT INTO votes
SELECT n, post_id, forum_member(share, forum_random(n, 24) * forum_random(n, 25)),
       kind, CASE WHEN kind = 'bounty' THEN 50 * (1 + floor(10 * forum_cube(u))::integer) END,
       forum_moment(share)
FROM (
    SELECT n, share, u, forum_post(season, rank) AS post_id,
           CASE WHEN rank < 40 AND rank % 5 < 2 AND u < 0.03 THEN 'bounty'
                WHEN rank % 5 < 2 AND u < 0.12 THEN 'favorite'
                WHEN rank > 1200 AND u < 0.60 THEN 'down'
                WHEN rank > 1200 AND rank % 5 < 2 AND u > 0.93 THEN 'close'
                WHEN u < 0.18 THEN 'down'
                ELSE 'up' END AS kind
    FROM (
        SELECT n, n / 250000.0::double precision AS share, forum_random(n, 23) AS u,
               greatest((n - 1) * 30 / 250000
                            - floor(2.2 * forum_cube(forum_random(n, 21)))::integer, 0) AS season,
               floor(2000 * forum_cube(forum_random(n, 22)))::integer AS rank
        FROM generate_series(1, 250000) AS n
    ) AS drawn
) AS vote;

INSERT INTO comments
SELECT n, forum_post(season, rank),
       forum_member(share, forum_cube(forum_random(n, 33))),
       floor((200.0 / (rank + 10)) * forum_cube(forum_random(n, 34)))::integer,
       15 + floor(585 * forum_random(n, 35) * forum_random(n, 36))::integer,
       forum_moment(share)
FROM (
    SELECT n, n / 120000.0::double precision AS share,
           greatest((n - 1) * 30 / 120000 - floor(1.5 * forum_cube(forum_random(n, 31)))::integer,
                    0) AS season,
           floor(2000 * forum_cube(forum_random(n, 32)))::integer AS rank
    FROM generate_series(1, 120000) AS n
) AS comment;

ANALYZE votes;
ANALYZE comments;

WITH numbered AS (
    SELECT n, (n - 1) / 2000 AS season, ((n - 1) % 2000 * 1679) % 2000 AS rank,
           n / 60000.0::double precision AS share
    FROM generate_series(1, 60000) AS n
), post AS (
    -- Two in five posts are questions. An answer is for a popular question of this season or the
    -- last.
    SELECT n, rank, share,
           CASE WHEN rank % 5 < 2 THEN 'question' ELSE 'answer' END AS kind,
           CASE WHEN rank % 5 >= 2 THEN
               forum_post(greatest(season - (forum_random(n, 41) < 0.4)::integer, 0),
                          floor(400 * forum_cube(forum_random(n, 42)))::integer * 5
                              + (forum_random(n, 43) < 0.5)::integer)
           END AS parent_id,
           forum_member(share, forum_cube(forum_random(n, 45))
               * CASE WHEN rank < 200 THEN forum_random(n, 44) ELSE 1 END) AS owner_id
    FROM numbered
), voted AS (
    SELECT post_id, count(*) AS votes,
           (count(*) FILTER (WHERE kind = 'up')
               - count(*) FILTER (WHERE kind = 'down'))::integer AS score,
           count(*) FILTER (WHERE kind = 'close') AS closes
    FROM votes GROUP BY post_id
), commented AS (
    SELECT post_id, count(*)::integer AS comments FROM comments GROUP BY post_id
), answered AS (
    SELECT parent_id, count(*)::integer AS answers, min(n) AS first_answer
    FROM post GROUP BY parent_id
)
INSERT INTO posts
SELECT post.n, post.kind, post.parent_id,
       CASE WHEN forum_random(post.n, 46) < 0.55 THEN answered.first_answer END,
       post.owner_id,
       CASE WHEN forum_random(post.n, 47) < 0.92 THEN place.language ELSE 'en' END,
       coalesce(voted.score, 0),
       CASE WHEN post.kind = 'question'
            THEN floor((10 + 45 * coalesce(voted.votes, 0))
                       * (0.8 + 0.4 * forum_random(post.n, 48)))::integer
            ELSE 0 END,
       coalesce(answered.answers, 0),
       coalesce(commented.comments, 0),
       40 + floor(200000.0 / (rank + 100) * (0.2 + forum_random(post.n, 49)))::integer,
       forum_moment(share),
       CASE WHEN voted.closes >= 1
            THEN forum_moment(share)
                + interval '1 day' * (1 + floor(30 * forum_random(post.n, 50))) END
FROM post
JOIN forum_cities AS place ON place.id = forum_city(post.owner_id)
LEFT JOIN voted ON voted.post_id = post.n
LEFT JOIN commented ON commented.post_id = post.n
LEFT JOIN answered ON answered.parent_id = post.n
ORDER BY post.n;

ANALYZE posts;

-- A question has at most five tags, one from each fifth of the tags. The tags in use change with
-- the seasons, and each language has its favourite tags.
INSERT INTO post_tags
SELECT id, 5 * ((season * 2 + favourite + floor(60 * forum_cube(u))::integer) % 60) + slot
FROM (
    SELECT id, slot, (id - 1) / 2000 AS season, forum_random(id * 8 + slot, 61) AS u,
           CASE language WHEN 'en' THEN 0 WHEN 'de' THEN 7 WHEN 'pt' THEN 14 WHEN 'ru' THEN 21
                         WHEN 'fr' THEN 28 WHEN 'es' THEN 35 ELSE 42 END AS favourite
    FROM posts, generate_series(1, 5) AS slot
    WHERE kind = 'question' AND (slot <= 4 OR score > 2)
) AS chosen
ORDER BY id, slot;

INSERT INTO tags
SELECT n,
       (ARRAY['python', 'sql', 'android', 'web', 'graph', 'cloud', 'java', 'image', 'network',
              'audio', 'excel', 'linux'])[1 + n % 12]
           || (ARRAY['', '-testing', '-performance', '-security', '-design'])[1 + n % 5]
           || CASE WHEN n > 60 THEN '-' || (n / 60 + 1) ELSE '' END,
       (ARRAY['language', 'database', 'mobile', 'front end', 'science', 'operations'])[1 + n % 6],
       coalesce(used.posts, 0)
FROM generate_series(1, 300) AS n
LEFT JOIN (SELECT tag_id, count(*)::integer AS posts FROM post_tags GROUP BY tag_id) AS used
    ON used.tag_id = n
ORDER BY n;

-- A link leads from any question to a popular one of the same season or an earlier one.
INSERT INTO links
SELECT n, post_id, related_post_id,
       CASE WHEN forum_random(n, 74) < 40.0 / (rank + 1) THEN 'duplicate' ELSE 'linked' END,
       forum_moment(least(share + 0.02 * forum_random(n, 75), 1))
FROM (
    SELECT n, n / 15000.0::double precision AS share, rank,
           forum_post((n - 1) / 500, floor(400 * forum_random(n, 71))::integer * 5) AS post_id,
           forum_post(greatest((n - 1) / 500
                                   - floor(4 * forum_cube(forum_random(n, 72)))::integer, 0),
                      rank * 5 + 1) AS related_post_id
    FROM (
        SELECT n, floor(400 * forum_cube(forum_random(n, 73)))::integer AS rank
        FROM generate_series(1, 15000) AS n
    ) AS drawn
) AS link;

-- Active users get most badges, above all the gold ones.
INSERT INTO badges
SELECT n, CASE class WHEN 'gold' THEN forum_member(share, forum_cube(forum_random(n, 83)) / 20)
                     WHEN 'silver' THEN forum_member(share, forum_cube(forum_random(n, 83)) / 3)
                     ELSE forum_member(share, forum_random(n, 83) * forum_random(n, 84)) END,
       name, class, forum_moment(share)
FROM (
    SELECT n, n / 40000.0::double precision AS share,
           CASE WHEN u < 0.04 THEN 'gold' WHEN u < 0.20 THEN 'silver' ELSE 'bronze' END AS class,
           CASE WHEN u < 0.04 THEN (ARRAY['Famous Question', 'Legendary', 'Steward', 'Copy Editor'])
                                       [1 + floor(4 * pick)::integer]
                WHEN u < 0.20 THEN (ARRAY['Good Answer', 'Notable Question', 'Civic Duty', 'Guru',
                                          'Yearling'])[1 + floor(5 * pick)::integer]
                ELSE (ARRAY['Student', 'Teacher', 'Editor', 'Supporter', 'Critic', 'Commentator'])
                         [1 + floor(6 * pick)::integer]
           END AS name
    FROM (SELECT n, forum_random(n, 81) AS u, forum_random(n, 82) AS pick
          FROM generate_series(1, 40000) AS n) AS drawn
) AS badge;

INSERT INTO users
SELECT n,
       (ARRAY['ada', 'bo', 'cem', 'dina', 'emil', 'fay', 'goran', 'hana', 'ivo', 'jun',
              'kaja', 'leo', 'mila', 'nils', 'oya', 'pia', 'rui', 'sofia', 'tom', 'uma', 'vera',
              'wim', 'yan', 'zoe'])
           [1 + floor(24 * forum_random(n, 91))::integer] || n,
       place.country, place.city,
       CASE WHEN forum_random(n, 92) < 0.95 THEN place.language ELSE 'en' END,
       greatest(1, 1 + 10 * coalesce(written.score, 0)),
       coalesce(written.posts, 0), coalesce(cast_by.votes, 0),
       n <= 300 AND coalesce(written.score, 0) > 300,
       forum_moment(greatest((n - 1000) / 19000.0::double precision, 0) * 0.999
                    + 0.001 * forum_random(n, 93)),
       greatest(written.last_at, cast_by.last_at,
                forum_moment(greatest((n - 1000) / 19000.0::double precision, 0) * 0.999
                             + 0.001 * forum_random(n, 93)))
FROM generate_series(1, 20000) AS n
JOIN forum_cities AS place ON place.id = forum_city(n)
LEFT JOIN (SELECT owner_id, sum(score)::integer AS score, count(*)::integer AS posts,
                  max(created_at) AS last_at
           FROM posts GROUP BY owner_id) AS written ON written.owner_id = n
LEFT JOIN (SELECT user_id, count(*)::integer AS votes, max(created_at) AS last_at
           FROM votes GROUP BY user_id) AS cast_by ON cast_by.user_id = n
ORDER BY n;

DROP TABLE forum_cities;
DROP FUNCTION forum_city(integer);
DROP FUNCTION forum_member(double precision, double precision);
DROP FUNCTION forum_moment(double precision);
DROP FUNCTION forum_post(integer, integer);
DROP FUNCTION forum_cube(double precision);
DROP FUNCTION forum_random(bigint, integer);

ALTER TABLE users ADD PRIMARY KEY (id);
ALTER TABLE posts ADD PRIMARY KEY (id);
ALTER TABLE comments ADD PRIMARY KEY (id);
ALTER TABLE votes ADD PRIMARY KEY (id);
ALTER TABLE badges ADD PRIMARY KEY (id);
ALTER TABLE tags ADD PRIMARY KEY (id);
ALTER TABLE post_tags ADD PRIMARY KEY (post_id, tag_id);
ALTER TABLE links ADD PRIMARY KEY (id);

CREATE INDEX users_reputation ON users (reputation);
CREATE INDEX posts_owner_id ON posts (owner_id);
CREATE INDEX posts_parent_id ON posts (parent_id);
CREATE INDEX posts_created_at ON posts (created_at);
CREATE INDEX comments_post_id ON comments (post_id);
CREATE INDEX comments_user_id ON comments (user_id);
CREATE INDEX votes_post_id ON votes (post_id);
CREATE INDEX badges_user_id ON badges (user_id);
CREATE INDEX post_tags_tag_id ON post_tags (tag_id);
CREATE INDEX links_post_id ON links (post_id);
CREATE UNIQUE INDEX tags_name ON tags (name);

ANALYZE users;
ANALYZE badges;
ANALYZE tags;
ANALYZE post_tags;
ANALYZE links;

ALTER TABLE posts ADD FOREIGN KEY (owner_id) REFERENCES users;
ALTER TABLE posts ADD FOREIGN KEY (parent_id) REFERENCES posts;
ALTER TABLE posts ADD FOREIGN KEY (accepted_answer_id) REFERENCES posts;
ALTER TABLE comments ADD FOREIGN KEY (post_id) REFERENCES posts;
ALTER TABLE comments ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE votes ADD FOREIGN KEY (post_id) REFERENCES posts;
ALTER TABLE votes ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE badges ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE post_tags ADD FOREIGN KEY (post_id) REFERENCES posts;
ALTER TABLE post_tags ADD FOREIGN KEY (tag_id) REFERENCES tags;
ALTER TABLE links ADD FOREIGN KEY (post_id) REFERENCES posts;
ALTER TABLE links ADD FOREIGN KEY (related_post_id) REFERENCES posts;
