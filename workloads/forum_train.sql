-- More questions about the forum of forum_schema.sql, for a driver to learn from before it is judged
-- on forum.sql. None is a query of forum.sql, with these values or others. As on real dashboards,
-- filters recur: about two thirds ask something else about users or posts that forum.sql asks about
-- too, and one third asks about others.


-- The regulars

-- name: badges-of-berlin
SELECT b.class, b.name, count(*) AS badges
FROM users u
JOIN badges b ON b.user_id = u.id
WHERE u.country = 'Germany' AND u.city = 'Berlin' AND u.language = 'de'
GROUP BY b.class, b.name
ORDER BY badges DESC, b.name;

-- name: berlin-remarks
SELECT date_trunc('quarter', c.created_at) AS quarter, count(*) AS remarks
FROM users u
JOIN comments c ON c.user_id = u.id
JOIN posts p ON p.id = c.post_id
WHERE u.country = 'Germany' AND u.city = 'Berlin' AND u.language = 'de' AND p.kind = 'answer'
GROUP BY 1
ORDER BY 1;

-- name: core-badges
SELECT b.name, count(*) AS badges, count(DISTINCT u.id) AS people
FROM users u
JOIN badges b ON b.user_id = u.id
WHERE u.reputation > 1500 AND u.post_count > 80 AND u.votes_cast > 80
GROUP BY b.name
ORDER BY badges DESC, b.name;

-- name: core-questions-linked
SELECT l.kind, count(*) AS links, count(DISTINCT p.id) AS questions
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN links l ON l.related_post_id = p.id
WHERE u.reputation > 1500 AND u.post_count > 80 AND u.votes_cast > 80
  AND p.kind = 'question' AND p.score > 3
GROUP BY l.kind
ORDER BY l.kind;

-- name: votes-for-authors
SELECT date_trunc('year', v.created_at) AS year, v.kind, count(*) AS votes
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN votes v ON v.post_id = p.id
WHERE u.reputation > 2000 AND u.post_count > 50 AND u.votes_cast > 50
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: prolific-in-japanese
SELECT u.display_name, count(*) AS posts, sum(p.score) AS score
FROM users u
JOIN posts p ON p.owner_id = u.id
WHERE u.reputation > 500 AND u.post_count > 30 AND u.votes_cast > 40 AND p.language = 'ja'
GROUP BY u.display_name
ORDER BY posts DESC, u.display_name
LIMIT 20;

-- name: votes-of-the-prolific
SELECT p.language, count(*) AS votes
FROM users u
JOIN votes v ON v.user_id = u.id
JOIN posts p ON p.id = v.post_id
WHERE u.reputation > 500 AND u.post_count > 30 AND u.votes_cast > 40 AND v.kind = 'favorite'
GROUP BY p.language
ORDER BY votes DESC, p.language;

-- name: successes-of-writers
SELECT t.topic, count(*) AS questions, max(p.score) AS best
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN post_tags pt ON pt.post_id = p.id
JOIN tags t ON t.id = pt.tag_id
WHERE u.reputation > 1000 AND u.post_count > 60 AND u.votes_cast > 60 AND p.score > 30
GROUP BY t.topic
ORDER BY questions DESC, t.topic;

-- name: writers-in-portuguese
SELECT elsewhere.kind, count(*) AS votes
FROM users u
JOIN votes v ON v.user_id = u.id
JOIN posts elsewhere ON elsewhere.id = v.post_id
WHERE u.reputation > 1000 AND u.post_count > 60 AND u.votes_cast > 60
  AND elsewhere.kind = 'question' AND elsewhere.language = 'pt'
GROUP BY elsewhere.kind;

-- name: decorated-in-winter
SELECT p.language, count(*) AS posts, sum(p.view_count) AS views
FROM users u
JOIN posts p ON p.owner_id = u.id
WHERE u.reputation > 2000 AND u.post_count > 80 AND u.votes_cast > 80
  AND p.created_at >= '2021-12-01' AND p.created_at < '2022-03-01'
GROUP BY p.language
ORDER BY posts DESC, p.language;

-- name: top-writers-upvoted
SELECT author.display_name, count(*) AS upvotes
FROM users author
JOIN posts p ON p.owner_id = author.id
JOIN votes v ON v.post_id = p.id
WHERE author.post_count > 100 AND author.reputation > 3000 AND author.votes_cast > 80
  AND v.kind = 'up'
GROUP BY author.display_name
ORDER BY upvotes DESC, author.display_name
LIMIT 20;

-- name: guru-topics
SELECT t.topic, count(*) AS answers
FROM badges b
JOIN users guru ON guru.id = b.user_id
JOIN posts a ON a.owner_id = guru.id
JOIN post_tags pt ON pt.post_id = a.parent_id
JOIN tags t ON t.id = pt.tag_id
WHERE b.name = 'Guru' AND b.class = 'silver' AND guru.post_count > 100 AND guru.reputation > 1000
  AND a.score >= 5
GROUP BY t.topic
ORDER BY answers DESC, t.topic;

-- name: busy-helpers
SELECT helper.country, count(*) AS answers, avg(a.score) AS score
FROM users helper
JOIN posts a ON a.owner_id = helper.id
JOIN posts q ON q.id = a.parent_id
WHERE helper.reputation > 1000 AND helper.post_count > 50 AND q.answer_count = 1
GROUP BY helper.country
ORDER BY answers DESC, helper.country;

-- name: moderators-at-work
SELECT u.display_name, count(*) AS close_votes
FROM users u
JOIN votes v ON v.user_id = u.id
JOIN posts q ON q.id = v.post_id
WHERE u.is_moderator AND v.kind = 'close'
GROUP BY u.display_name
ORDER BY close_votes DESC, u.display_name
LIMIT 20;

-- name: moderators-talk
SELECT date_trunc('year', c.created_at) AS year, count(*) AS remarks, count(DISTINCT p.id) AS posts
FROM users u
JOIN comments c ON c.user_id = u.id
JOIN posts p ON p.id = c.post_id
WHERE u.is_moderator AND p.closed_at IS NOT NULL
GROUP BY 1
ORDER BY 1;

-- name: readers-who-never-write
SELECT u.country, count(DISTINCT u.id) AS readers, count(*) AS votes
FROM users u
JOIN votes v ON v.user_id = u.id
WHERE u.post_count = 0 AND u.votes_cast > 20
GROUP BY u.country
ORDER BY readers DESC, u.country;


-- Newcomers

-- name: newcomers-voted
SELECT v.kind, count(*) AS votes
FROM users u
JOIN posts q ON q.owner_id = u.id
JOIN votes v ON v.post_id = q.id
WHERE u.reputation < 50 AND u.created_at >= '2023-01-01'
GROUP BY v.kind
ORDER BY votes DESC, v.kind;

-- name: unanswered-but-discussed
SELECT q.language, count(DISTINCT q.id) AS questions, count(*) AS remarks
FROM posts q
JOIN comments c ON c.post_id = q.id
WHERE q.kind = 'question' AND q.answer_count = 0 AND q.created_at >= '2024-01-01'
GROUP BY q.language
ORDER BY questions DESC, q.language;

-- name: one-time-visitors
SELECT p.kind, p.language, count(*) AS posts
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN comments c ON c.post_id = p.id
WHERE u.post_count <= 2 AND u.reputation = 1
GROUP BY p.kind, p.language
ORDER BY posts DESC, p.kind, p.language;

-- name: welcome-remarks
SELECT commenter.display_name, count(*) AS remarks
FROM users newcomer
JOIN posts q ON q.owner_id = newcomer.id
JOIN comments c ON c.post_id = q.id
JOIN users commenter ON commenter.id = c.user_id
WHERE newcomer.reputation < 30 AND newcomer.post_count = 1 AND commenter.reputation > 1000
GROUP BY commenter.display_name
ORDER BY remarks DESC, commenter.display_name
LIMIT 15;

-- name: late-arrivals-tagged
SELECT t.topic, count(*) AS questions
FROM users newcomer
JOIN posts q ON q.owner_id = newcomer.id
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
WHERE newcomer.post_count = 1 AND newcomer.reputation < 500 AND newcomer.id > 15000
GROUP BY t.topic
ORDER BY questions DESC, t.topic;

-- name: first-badges
SELECT b.name, count(*) AS badges
FROM users u
JOIN badges b ON b.user_id = u.id
WHERE u.created_at >= '2022-01-01' AND b.class = 'bronze' AND u.post_count > 0
GROUP BY b.name
ORDER BY badges DESC, b.name;

-- name: quickly-promoted
SELECT u.country, count(*) AS posts, avg(p.score) AS score
FROM users u
JOIN posts p ON p.owner_id = u.id
WHERE u.created_at >= '2019-06-01' AND u.reputation > 100
GROUP BY u.country
ORDER BY posts DESC, u.country;


-- Hot questions

-- name: hot-topics
SELECT t.topic, count(*) AS questions, sum(q.view_count) AS views
FROM posts q
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
WHERE q.kind = 'question' AND q.score > 20 AND q.view_count > 1500
  AND q.answer_count >= 5 AND q.comment_count > 15
GROUP BY t.topic
ORDER BY questions DESC, t.topic;

-- name: hot-answers
SELECT a.language, count(*) AS answers, avg(a.score) AS score, max(a.body_length) AS longest
FROM posts q
JOIN posts a ON a.parent_id = q.id
WHERE q.kind = 'question' AND q.score > 20 AND q.view_count > 1500
  AND q.answer_count >= 5 AND q.comment_count > 15
GROUP BY a.language
ORDER BY answers DESC, a.language;

-- name: very-hot-authors
SELECT u.country, count(*) AS questions
FROM posts q
JOIN users u ON u.id = q.owner_id
JOIN comments c ON c.post_id = q.id
WHERE q.kind = 'question' AND q.score > 60 AND q.view_count > 5000
  AND q.answer_count > 15 AND q.comment_count > 40
GROUP BY u.country
ORDER BY questions DESC, u.country;

-- name: famous-and-debated
SELECT date_trunc('year', c.created_at) AS year, count(*) AS remarks, avg(c.length) AS length
FROM posts p
JOIN comments c ON c.post_id = p.id
JOIN users author ON author.id = p.owner_id
WHERE p.score > 100 AND p.view_count > 4000 AND p.comment_count > 50
GROUP BY 1
ORDER BY 1;

-- name: cited-abroad
SELECT u.country, count(*) AS citations
FROM posts p
JOIN links l ON l.related_post_id = p.id
JOIN posts s ON s.id = l.post_id
JOIN users u ON u.id = s.owner_id
WHERE p.score > 30 AND p.view_count > 2500 AND p.answer_count > 10 AND l.kind = 'duplicate'
GROUP BY u.country
ORDER BY citations DESC, u.country;

-- name: favorites-of-the-linked
SELECT target.language, count(DISTINCT target.id) AS questions, count(*) AS pairs
FROM posts target
JOIN links l ON l.related_post_id = target.id
JOIN votes v ON v.post_id = target.id
WHERE target.kind = 'question' AND target.score > 15 AND target.view_count > 1000
  AND target.answer_count > 5 AND target.comment_count > 15 AND v.kind = 'favorite'
GROUP BY target.language
ORDER BY pairs DESC, target.language;

-- name: science-sources
SELECT source.language, count(*) AS questions
FROM posts source
JOIN post_tags pt ON pt.post_id = source.id
JOIN tags t ON t.id = pt.tag_id
JOIN users u ON u.id = source.owner_id
WHERE source.score > 3 AND t.topic = 'science' AND u.country = 'Spain'
GROUP BY source.language
ORDER BY questions DESC, source.language;

-- name: cited-work-in-tags
SELECT t.name, count(*) AS links
FROM posts target
JOIN links l ON l.related_post_id = target.id
JOIN post_tags pt ON pt.post_id = target.id
JOIN tags t ON t.id = pt.tag_id
WHERE target.score > 40 AND target.view_count > 3000 AND target.comment_count > 30
  AND target.answer_count > 10
GROUP BY t.name
ORDER BY links DESC, t.name
LIMIT 20;

-- name: hot-database-answers
SELECT u.display_name, count(*) AS answers
FROM posts q
JOIN posts a ON a.parent_id = q.id
JOIN users u ON u.id = a.owner_id
WHERE q.kind = 'question' AND q.score > 10 AND q.view_count > 800 AND q.answer_count >= 3
  AND q.comment_count > 8 AND a.score > 5
GROUP BY u.display_name
ORDER BY answers DESC, u.display_name
LIMIT 20;

-- name: wide-interest
SELECT u.language, count(*) AS votes, count(DISTINCT u.id) AS voters
FROM posts q
JOIN votes v ON v.post_id = q.id
JOIN users u ON u.id = v.user_id
WHERE q.score > 20 AND q.view_count > 1500 AND q.answer_count > 5 AND q.comment_count > 20
GROUP BY u.language
ORDER BY votes DESC, u.language;

-- name: debates-by-country
SELECT u.country, count(*) AS remarks, max(c.score) AS best
FROM posts q
JOIN comments c ON c.post_id = q.id
JOIN users u ON u.id = c.user_id
WHERE q.kind = 'question' AND q.score > 30 AND q.view_count > 2000 AND q.comment_count > 20
GROUP BY u.country
ORDER BY remarks DESC, u.country;

-- name: brazilian-favorites
SELECT date_trunc('year', v.created_at) AS year, count(*) AS favorites
FROM users u
JOIN posts q ON q.owner_id = u.id
JOIN votes v ON v.post_id = q.id
WHERE u.country = 'Brazil' AND u.language = 'pt' AND q.language = 'pt' AND q.kind = 'question'
  AND q.score > 3 AND v.kind = 'favorite'
GROUP BY 1
ORDER BY 1;

-- name: summer-of-questions
SELECT p.kind, count(*) AS posts, count(DISTINCT v.user_id) AS voters
FROM posts p
JOIN votes v ON v.post_id = p.id
WHERE p.created_at >= '2018-06-01' AND p.created_at < '2018-09-01' AND v.created_at < '2018-09-01'
GROUP BY p.kind
ORDER BY p.kind;

-- name: solved-quickly
SELECT q.language, count(*) AS solved
FROM posts q
JOIN posts a ON a.id = q.accepted_answer_id
WHERE a.created_at < q.created_at + interval '2 days' AND q.view_count > 500
GROUP BY q.language
ORDER BY solved DESC, q.language;

-- name: long-and-loved
SELECT p.id, p.body_length, count(*) AS favorites
FROM posts p
JOIN votes v ON v.post_id = p.id
WHERE p.body_length > 1200 AND p.answer_count > 8 AND v.kind = 'favorite'
GROUP BY p.id, p.body_length
ORDER BY favorites DESC, p.id
LIMIT 20;


-- Trouble

-- name: duplicated-and-tagged
SELECT t.name, count(DISTINCT target.id) AS questions
FROM posts target
JOIN links l ON l.related_post_id = target.id
JOIN post_tags pt ON pt.post_id = target.id
JOIN tags t ON t.id = pt.tag_id
WHERE target.kind = 'question' AND target.score > 5 AND target.view_count > 400
  AND target.answer_count > 3 AND target.comment_count > 5 AND l.kind = 'duplicate'
GROUP BY t.name
ORDER BY questions DESC, t.name
LIMIT 20;

-- name: duplicated-by-whom
SELECT u.city, count(*) AS copies
FROM links l
JOIN posts target ON target.id = l.related_post_id
JOIN posts source ON source.id = l.post_id
JOIN users u ON u.id = source.owner_id
WHERE l.kind = 'duplicate' AND target.score > 20 AND target.view_count > 1500
  AND target.answer_count > 5
GROUP BY u.city
ORDER BY copies DESC, u.city;

-- name: closed-in-tags
SELECT t.topic, count(*) AS questions
FROM posts q
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
WHERE q.kind = 'question' AND q.closed_at IS NOT NULL AND q.score < 0
GROUP BY t.topic
ORDER BY questions DESC, t.topic;

-- name: old-classics-discussed
SELECT date_trunc('year', c.created_at) AS year, count(*) AS remarks
FROM posts target
JOIN comments c ON c.post_id = target.id
WHERE target.created_at < '2016-01-01' AND target.score > 20 AND target.view_count > 2000
  AND target.accepted_answer_id IS NOT NULL
GROUP BY 1
ORDER BY 1;

-- name: early-critics-talk
SELECT u.country, count(*) AS remarks
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN comments c ON c.user_id = u.id
WHERE b.name = 'Critic' AND b.class = 'bronze' AND b.awarded_at < '2015-06-01'
GROUP BY u.country
ORDER BY remarks DESC, u.country;

-- name: downvotes-from-paris
SELECT p.kind, p.language, count(*) AS downvotes
FROM users u
JOIN votes v ON v.user_id = u.id
JOIN posts p ON p.id = v.post_id
WHERE u.city = 'Paris' AND u.language = 'fr' AND v.kind = 'down'
GROUP BY p.kind, p.language
ORDER BY downvotes DESC, p.kind, p.language;

-- name: disliked-answers
SELECT u.display_name, count(*) AS answers, min(a.score) AS worst
FROM posts a
JOIN users u ON u.id = a.owner_id
JOIN posts q ON q.id = a.parent_id
WHERE a.score < -3 AND q.score > 5
GROUP BY u.display_name
ORDER BY answers DESC, u.display_name
LIMIT 20;


-- Tags and badges

-- name: science-and-database-voters
SELECT u.country, count(DISTINCT v.user_id) AS voters
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN votes v ON v.post_id = pt.post_id
JOIN users u ON u.id = v.user_id
WHERE t.topic IN ('science', 'database') AND v.kind = 'favorite'
GROUP BY u.country
ORDER BY voters DESC, u.country;

-- name: security-in-tokyo
SELECT t.name, count(*) AS questions
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN posts q ON q.id = pt.post_id
JOIN users u ON u.id = q.owner_id
WHERE t.name LIKE '%security%' AND u.city = 'Tokyo'
GROUP BY t.name
ORDER BY questions DESC, t.name;

-- name: python-remarks
SELECT t.name, count(*) AS remarks, avg(c.length) AS length
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN comments c ON c.post_id = pt.post_id
WHERE t.name LIKE 'python%' AND c.length > 300
GROUP BY t.name
ORDER BY remarks DESC, t.name;

-- name: rare-tags
SELECT t.name, u.language, count(*) AS questions
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN posts q ON q.id = pt.post_id
JOIN users u ON u.id = q.owner_id
WHERE t.post_count < 100
GROUP BY t.name, u.language
ORDER BY questions DESC, t.name, u.language
LIMIT 20;

-- name: legends-comment
SELECT u.country, count(*) AS remarks
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN comments c ON c.user_id = u.id
WHERE b.class = 'gold' AND b.name = 'Legendary' AND c.score > 2
GROUP BY u.country
ORDER BY remarks DESC, u.country;

-- name: copy-editors-write
SELECT p.kind, p.language, count(*) AS posts
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN posts p ON p.owner_id = u.id
WHERE b.class = 'gold' AND b.name = 'Copy Editor' AND p.score > 3 AND p.view_count > 200
GROUP BY p.kind, p.language
ORDER BY posts DESC, p.language;

-- name: stewards-answer
SELECT q.language, count(*) AS answers
FROM badges b
JOIN posts a ON a.owner_id = b.user_id
JOIN posts q ON q.id = a.parent_id
WHERE b.name = 'Steward' AND b.class = 'gold' AND b.awarded_at >= '2020-01-01'
GROUP BY q.language
ORDER BY answers DESC, q.language;

-- name: gold-after-silver
SELECT g.name AS gold, s.name AS silver, count(*) AS pairs
FROM badges s
JOIN badges g ON g.user_id = s.user_id AND g.awarded_at > s.awarded_at
JOIN users u ON u.id = s.user_id
WHERE s.class = 'silver' AND g.class = 'gold' AND u.country = 'Russia'
GROUP BY g.name, s.name
ORDER BY pairs DESC, g.name, s.name;

-- name: teachers-in-colombia
SELECT u.display_name, count(*) AS answers
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN posts a ON a.owner_id = u.id
WHERE b.name = 'Teacher' AND u.city = 'Bogota' AND a.kind = 'answer'
GROUP BY u.display_name
ORDER BY answers DESC, u.display_name
LIMIT 20;


-- Across borders

-- name: american-askers
SELECT t.topic, count(*) AS questions
FROM users asker
JOIN posts q ON q.owner_id = asker.id
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
WHERE asker.country = 'United States' AND asker.language = 'en' AND asker.reputation > 500
  AND asker.post_count > 30
GROUP BY t.topic
ORDER BY questions DESC, t.topic;

-- name: london-upvoted
SELECT voter.country, count(*) AS upvotes
FROM users author
JOIN posts p ON p.owner_id = author.id
JOIN votes v ON v.post_id = p.id
JOIN users voter ON voter.id = v.user_id
WHERE author.city = 'London' AND author.country = 'United Kingdom' AND author.language = 'en'
  AND v.kind = 'up'
GROUP BY voter.country
ORDER BY upvotes DESC, voter.country;

-- name: canadian-remarks
SELECT q.language, count(*) AS remarks
FROM posts q
JOIN comments c ON c.post_id = q.id
JOIN users commenter ON commenter.id = c.user_id
WHERE q.kind = 'question' AND q.score > 3 AND q.view_count > 300 AND q.comment_count > 3
  AND q.answer_count > 2 AND commenter.country = 'Canada'
GROUP BY q.language
ORDER BY remarks DESC, q.language;

-- name: lisbon-and-sao-paulo
SELECT date_trunc('year', a.created_at) AS year, count(*) AS answers
FROM users asker
JOIN posts q ON q.owner_id = asker.id
JOIN posts a ON a.parent_id = q.id
JOIN users helper ON helper.id = a.owner_id
WHERE asker.city = 'Sao Paulo' AND helper.city = 'Lisbon'
GROUP BY 1
ORDER BY 1;

-- name: bounties-from-japan
SELECT u.city, count(*) AS bounties, sum(v.bounty) AS points
FROM users u
JOIN votes v ON v.user_id = u.id
JOIN posts q ON q.id = v.post_id
WHERE u.country = 'Japan' AND v.kind = 'bounty' AND q.answer_count > 5
GROUP BY u.city
ORDER BY points DESC, u.city;
