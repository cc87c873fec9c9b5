-- More questions like those in forum.sql. The demo measures all versions of its latency model on
-- these queries and trains no version on them, so that you can compare the versions.

-- name: portuguese-readers
SELECT u.city, count(DISTINCT v.id) AS votes, count(DISTINCT p.id) AS posts
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN votes v ON v.post_id = p.id
WHERE u.country = 'Brazil' AND u.language = 'pt' AND p.language = 'pt' AND v.kind = 'up'
GROUP BY u.city;

-- name: old-hands
SELECT date_trunc('year', a.created_at) AS year, count(*) AS remarks
FROM users u
JOIN posts a ON a.owner_id = u.id
JOIN posts q ON q.id = a.parent_id
JOIN comments c ON c.post_id = q.id
WHERE u.created_at < '2015-03-01' AND u.post_count > 40 AND u.reputation > 300
  AND a.kind = 'answer' AND a.score > 3 AND c.score > 2
GROUP BY 1
ORDER BY 1;

-- name: moderators-at-work
SELECT u.display_name, count(DISTINCT p.id) AS posts, count(DISTINCT b.id) AS badges
FROM users u
LEFT JOIN posts p ON p.owner_id = u.id AND p.closed_at IS NOT NULL
LEFT JOIN badges b ON b.user_id = u.id AND b.class = 'gold'
WHERE u.is_moderator
GROUP BY u.id, u.display_name
ORDER BY posts DESC;

-- name: bounty-crowd
SELECT u.country, count(DISTINCT q.id) AS questions, count(*) AS remarks
FROM votes v
JOIN posts q ON q.id = v.post_id
JOIN comments c ON c.post_id = q.id
JOIN users u ON u.id = c.user_id
WHERE v.kind = 'bounty' AND v.bounty >= 200 AND q.score > 50 AND q.view_count > 3000
  AND u.reputation < 10
GROUP BY u.country
ORDER BY remarks DESC;

-- name: duplicate-magnets
SELECT target.id, target.score, count(*) AS duplicates
FROM links l
JOIN posts source ON source.id = l.post_id
JOIN posts target ON target.id = l.related_post_id
WHERE l.kind = 'duplicate' AND target.score > 30 AND target.view_count > 2000
  AND target.answer_count > 10 AND source.score <= 0
GROUP BY target.id, target.score
ORDER BY duplicates DESC
LIMIT 25;

-- name: praised-answers
SELECT a.id, a.score, q.view_count, u.display_name
FROM posts a
JOIN posts q ON q.id = a.parent_id AND q.accepted_answer_id = a.id
JOIN users u ON u.id = a.owner_id
WHERE a.score > 10 AND q.view_count > 500
ORDER BY a.score DESC
LIMIT 30;

-- name: favorites-by-topic
SELECT t.topic, count(*) AS favorites
FROM votes v
JOIN post_tags pt ON pt.post_id = v.post_id
JOIN tags t ON t.id = pt.tag_id
WHERE v.kind = 'favorite'
GROUP BY t.topic
ORDER BY favorites DESC;

-- name: stewards-at-the-gate
SELECT p.language, count(*) AS downvotes
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN votes v ON v.user_id = u.id
JOIN posts p ON p.id = v.post_id
WHERE b.name = 'Steward' AND b.class = 'gold' AND b.awarded_at >= '2020-01-01'
  AND u.votes_cast > 60 AND u.reputation > 200 AND v.kind = 'down'
GROUP BY p.language
ORDER BY downvotes DESC;

-- name: late-remarks
SELECT date_trunc('year', p.created_at) AS year, count(*) AS late
FROM posts p
JOIN comments c ON c.post_id = p.id
JOIN users u ON u.id = c.user_id
WHERE c.created_at > p.created_at + interval '150 days' AND u.post_count > 20
GROUP BY 1
ORDER BY 1;

-- name: ignored-regulars
SELECT u.display_name, count(*) AS ignored
FROM users u
JOIN posts q ON q.owner_id = u.id
WHERE u.reputation > 500 AND q.kind = 'question' AND q.created_at >= '2018-01-01'
  AND NOT EXISTS (SELECT 1 FROM posts a WHERE a.parent_id = q.id)
  AND NOT EXISTS (SELECT 1 FROM comments c WHERE c.post_id = q.id)
GROUP BY u.display_name
ORDER BY ignored DESC
LIMIT 20;

-- name: russian-answers
SELECT t.name, count(*) AS answers
FROM users u
JOIN posts a ON a.owner_id = u.id
JOIN posts q ON q.id = a.parent_id
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
JOIN votes v ON v.post_id = q.id
WHERE u.language = 'ru' AND u.country = 'Russia' AND u.city = 'Moscow' AND a.language = 'ru'
  AND q.score > 20 AND v.kind = 'up' AND t.topic = 'mobile'
GROUP BY t.name
ORDER BY answers DESC
LIMIT 10;

-- name: tag-languages
SELECT t.topic, q.language, count(*) AS questions, avg(q.score) AS score
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN posts q ON q.id = pt.post_id
WHERE q.language IN ('de', 'fr', 'pt') AND q.score > 2
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: rare-tag-helpers
SELECT helper.country, count(*) AS answers
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN posts a ON a.parent_id = pt.post_id
JOIN users helper ON helper.id = a.owner_id
WHERE t.post_count < 120 AND a.score > 0
GROUP BY helper.country
ORDER BY answers DESC;

-- name: silver-circle
SELECT fan.country, count(*) AS votes
FROM badges b
JOIN posts p ON p.owner_id = b.user_id
JOIN votes v ON v.post_id = p.id
JOIN users fan ON fan.id = v.user_id
WHERE b.class = 'silver' AND b.name = 'Notable Question' AND p.kind = 'question' AND p.score > 5
  AND p.view_count > 400 AND v.kind = 'favorite'
GROUP BY fan.country
ORDER BY votes DESC;

-- name: badge-before-answer
SELECT b.name, count(*) AS answers
FROM badges b
JOIN posts a ON a.owner_id = b.user_id AND a.created_at > b.awarded_at
JOIN posts q ON q.id = a.parent_id
WHERE b.class = 'silver' AND a.score >= 5 AND q.language = 'en'
GROUP BY b.name
ORDER BY answers DESC;

-- name: students-who-teach
SELECT u.country, count(DISTINCT u.id) AS people
FROM users u
JOIN badges s ON s.user_id = u.id
JOIN badges t ON t.user_id = u.id
WHERE s.name = 'Student' AND t.name = 'Teacher' AND t.awarded_at > s.awarded_at
GROUP BY u.country
ORDER BY people DESC;

-- name: experts-meet
SELECT ua.city AS one, ub.city AS other, count(*) AS meetings
FROM posts q
JOIN posts a ON a.parent_id = q.id
JOIN posts b ON b.parent_id = q.id AND b.id > a.id
JOIN users ua ON ua.id = a.owner_id
JOIN users ub ON ub.id = b.owner_id
WHERE q.kind = 'question' AND q.score > 5 AND q.view_count > 400 AND q.comment_count > 5
  AND q.answer_count > 2 AND ua.reputation > 500 AND ub.city = 'Paris'
GROUP BY 1, 2
ORDER BY meetings DESC
LIMIT 20;

-- name: neighbours
SELECT u1.city, count(*) AS talks
FROM users u1
JOIN posts p ON p.owner_id = u1.id
JOIN comments c ON c.post_id = p.id
JOIN users u2 ON u2.id = c.user_id AND u2.city = u1.city
WHERE u1.country = 'France' AND u1.language = 'fr' AND u2.country = 'France'
GROUP BY u1.city
ORDER BY talks DESC;

-- name: favors-returned
SELECT count(*) AS favors
FROM posts p1
JOIN votes v1 ON v1.post_id = p1.id AND v1.kind = 'favorite'
JOIN posts p2 ON p2.owner_id = v1.user_id
JOIN votes v2 ON v2.post_id = p2.id AND v2.kind = 'favorite'
WHERE v2.user_id = p1.owner_id AND v1.user_id <> p1.owner_id;

-- name: fans
SELECT author.display_name, fan.display_name AS fan, count(*) AS votes
FROM users author
JOIN posts p ON p.owner_id = author.id
JOIN votes v ON v.post_id = p.id
JOIN users fan ON fan.id = v.user_id
JOIN badges b ON b.user_id = fan.id
WHERE author.reputation > 1000 AND author.post_count > 50 AND author.votes_cast > 50
  AND v.kind = 'up' AND fan.votes_cast > 100 AND b.class = 'gold'
GROUP BY 1, 2
ORDER BY votes DESC
LIMIT 10;

-- name: reply-times
SELECT t.topic, count(*) AS answers, avg(a.created_at - q.created_at) AS reply_time
FROM posts q
JOIN posts a ON a.parent_id = q.id AND a.created_at > q.created_at
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
WHERE q.created_at >= '2022-01-01'
GROUP BY t.topic
ORDER BY reply_time;

-- name: weekend-crowd
SELECT u.country, count(*) AS remarks
FROM comments c
JOIN users u ON u.id = c.user_id
JOIN posts p ON p.id = c.post_id
WHERE extract(isodow FROM c.created_at) >= 6 AND extract(isodow FROM p.created_at) >= 6
GROUP BY u.country
ORDER BY remarks DESC;

-- name: one-user
SELECT p.id, p.kind, t.name
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN post_tags pt ON pt.post_id = p.id
JOIN tags t ON t.id = pt.tag_id
WHERE u.id = 15000
ORDER BY p.id, t.name;

-- name: legends-in-talk
SELECT commenter.city, count(*) AS remarks, count(DISTINCT p.id) AS posts
FROM badges b
JOIN posts p ON p.owner_id = b.user_id
JOIN comments c ON c.post_id = p.id
JOIN users commenter ON commenter.id = c.user_id
WHERE b.class = 'gold' AND b.name = 'Legendary' AND commenter.country = 'Japan'
GROUP BY commenter.city;
