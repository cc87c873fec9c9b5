-- Questions about a forum, asked by the people who run it. forum_schema.sql makes the data.
-- Each statement is one query of the workload. The comment `-- name:` above it is its label.


-- Who writes, and from where

-- name: berlin-answers
SELECT u.display_name, count(*) AS answers, sum(a.score) AS score
FROM users u
JOIN posts a ON a.owner_id = u.id
JOIN posts q ON q.id = a.parent_id
WHERE u.country = 'Germany' AND u.city = 'Berlin' AND u.language = 'de'
  AND a.kind = 'answer' AND q.score > 0
GROUP BY u.display_name
ORDER BY score DESC
LIMIT 20;

-- name: voters-of-the-core
SELECT fan.language, count(*) AS votes
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN votes v ON v.post_id = p.id
JOIN users fan ON fan.id = v.user_id
JOIN comments c ON c.post_id = p.id
WHERE u.reputation > 1500 AND u.post_count > 80 AND u.votes_cast > 80
  AND p.kind = 'question' AND p.score > 3 AND v.kind = 'up' AND fan.country = 'Austria'
GROUP BY fan.language;

-- name: core-authors
SELECT date_trunc('year', p.created_at) AS year, count(DISTINCT u.id) AS authors,
       count(*) AS comments, avg(c.score) AS comment_score
FROM users u, posts p, comments c
WHERE p.owner_id = u.id AND c.post_id = p.id
  AND u.reputation > 2000 AND u.post_count > 50 AND u.votes_cast > 50
GROUP BY 1
ORDER BY 1;

-- name: prolific-and-scattered
SELECT t.topic, count(*) AS remarks
FROM users u
JOIN comments c ON c.user_id = u.id
JOIN posts p ON p.id = c.post_id
JOIN post_tags pt ON pt.post_id = p.id
JOIN tags t ON t.id = pt.tag_id
WHERE u.reputation > 500 AND u.post_count > 30 AND u.votes_cast > 40 AND p.language = 'ja'
GROUP BY t.topic
ORDER BY remarks DESC;

-- name: newcomers-unanswered
SELECT t.name, count(*) AS open_questions
FROM posts q
JOIN users u ON u.id = q.owner_id
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
WHERE q.kind = 'question' AND q.answer_count = 0 AND q.created_at >= '2024-01-01'
  AND u.reputation < 50 AND u.created_at >= '2023-01-01'
GROUP BY t.name
ORDER BY open_questions DESC, t.name
LIMIT 10;

-- name: writers-who-comment
SELECT u.country, count(*) AS pairs
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN comments c ON c.user_id = u.id
JOIN posts elsewhere ON elsewhere.id = c.post_id
WHERE u.reputation > 1000 AND u.post_count > 60 AND u.votes_cast > 60
  AND p.score > 30 AND elsewhere.kind = 'question' AND elsewhere.language = 'pt'
GROUP BY u.country
ORDER BY pairs DESC;

-- name: brazilian-thread
SELECT q.id, q.score, count(*) AS remarks
FROM users u
JOIN posts q ON q.owner_id = u.id
JOIN posts a ON a.parent_id = q.id
JOIN comments c ON c.post_id = q.id
JOIN users commenter ON commenter.id = c.user_id
WHERE u.country = 'Brazil' AND u.language = 'pt' AND q.language = 'pt' AND q.kind = 'question'
  AND q.score > 3 AND commenter.country = 'United States'
GROUP BY q.id, q.score
ORDER BY remarks DESC
LIMIT 20;

-- name: top-writer-commenters
SELECT commenter.display_name, count(*) AS comments, max(c.score) AS best
FROM users author
JOIN posts p ON p.owner_id = author.id
JOIN comments c ON c.post_id = p.id
JOIN users commenter ON commenter.id = c.user_id
JOIN badges b ON b.user_id = commenter.id
WHERE author.post_count > 100 AND author.reputation > 3000 AND author.votes_cast > 80
  AND commenter.country = 'India' AND b.name = 'Guru'
GROUP BY commenter.display_name
ORDER BY comments DESC
LIMIT 25;

-- name: lost-experts
SELECT u.display_name, u.reputation, max(p.created_at) AS last_post
FROM users u
JOIN badges b ON b.user_id = u.id
JOIN posts p ON p.owner_id = u.id
WHERE b.class = 'silver' AND b.name = 'Guru' AND u.last_seen_at < '2023-06-01'
  AND u.reputation > 20
GROUP BY u.id, u.display_name, u.reputation
HAVING count(DISTINCT p.id) >= 2
ORDER BY u.reputation DESC;

-- name: swiss-questions
SELECT q.id, q.score, q.view_count
FROM posts q
JOIN users u ON u.id = q.owner_id
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
WHERE u.city = 'Zurich' AND u.country = 'Switzerland' AND q.language = 'de'
  AND t.topic = 'database'
ORDER BY q.view_count DESC
LIMIT 10;

-- name: help-across-borders
SELECT asker.country AS asked_from, helper.country AS answered_from, count(*) AS answers
FROM posts q
JOIN posts a ON a.parent_id = q.id
JOIN users asker ON asker.id = q.owner_id
JOIN users helper ON helper.id = a.owner_id
WHERE asker.country <> helper.country AND q.language <> 'en' AND a.score >= 3
GROUP BY 1, 2
ORDER BY answers DESC
LIMIT 30;


-- What is popular

-- name: hot-questions
SELECT voter.country, count(*) AS favorites, count(DISTINCT q.id) AS questions
FROM posts q
JOIN comments c ON c.post_id = q.id
JOIN votes v ON v.post_id = q.id
JOIN users voter ON voter.id = v.user_id
JOIN users commenter ON commenter.id = c.user_id
WHERE q.kind = 'question' AND q.score > 20 AND q.view_count > 1500
  AND q.answer_count >= 5 AND q.comment_count > 15
  AND v.kind = 'favorite' AND commenter.post_count > 50 AND commenter.reputation > 500
GROUP BY voter.country
ORDER BY favorites DESC;

-- name: hot-and-linked
SELECT q.id, count(DISTINCT l.id) AS links, count(DISTINCT a.id) AS answers
FROM posts q
JOIN links l ON l.related_post_id = q.id
JOIN posts a ON a.parent_id = q.id
WHERE q.kind = 'question' AND q.score > 60 AND q.view_count > 5000
  AND q.answer_count > 15 AND q.comment_count > 40
GROUP BY q.id
ORDER BY links DESC
LIMIT 20;

-- name: voters-and-linkers
SELECT p.language, count(*) AS pairs
FROM posts p
JOIN votes v ON v.post_id = p.id
JOIN links l ON l.related_post_id = p.id
JOIN posts s ON s.id = l.post_id
JOIN users u ON u.id = s.owner_id
WHERE p.score > 30 AND p.view_count > 2500 AND p.answer_count > 10 AND v.kind = 'up'
  AND u.country = 'Canada'
GROUP BY p.language;

-- name: votes-on-the-famous
SELECT date_trunc('quarter', v.created_at) AS quarter, v.kind, count(*) AS votes
FROM posts p
JOIN votes v ON v.post_id = p.id
JOIN users author ON author.id = p.owner_id
WHERE p.score > 100 AND p.view_count > 4000 AND p.comment_count > 50
  AND author.language = 'en'
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: linked-threads
SELECT t.name, count(DISTINCT l.id) AS links
FROM posts target
JOIN links l ON l.related_post_id = target.id
JOIN posts source ON source.id = l.post_id
JOIN post_tags pt ON pt.post_id = source.id
JOIN tags t ON t.id = pt.tag_id
JOIN comments c ON c.post_id = target.id
WHERE target.kind = 'question' AND target.score > 15 AND target.view_count > 1000
  AND target.answer_count > 5 AND target.comment_count > 15
  AND source.score > 3 AND t.topic = 'science'
GROUP BY t.name
ORDER BY links DESC
LIMIT 15;

-- name: bounty-hunters
SELECT u.display_name, count(DISTINCT q.id) AS questions, sum(v.bounty) AS points
FROM votes v
JOIN posts q ON q.id = v.post_id
JOIN posts a ON a.parent_id = q.id
JOIN users u ON u.id = a.owner_id
WHERE v.kind = 'bounty' AND v.bounty >= 100 AND a.score > 1
GROUP BY u.display_name
ORDER BY points DESC
LIMIT 20;

-- name: bounty-givers
SELECT giver.country, count(*) AS bounties, sum(v.bounty) AS points
FROM users giver
JOIN votes v ON v.user_id = giver.id
JOIN posts q ON q.id = v.post_id
WHERE v.kind = 'bounty' AND giver.reputation > 1000 AND giver.votes_cast > 100
  AND q.kind = 'question'
GROUP BY giver.country
ORDER BY points DESC;

-- name: remarks-on-cited-work
SELECT c.user_id, count(*) AS remarks
FROM posts target
JOIN links l ON l.related_post_id = target.id
JOIN posts source ON source.id = l.post_id
JOIN users u ON u.id = source.owner_id
JOIN comments c ON c.post_id = target.id
WHERE target.score > 40 AND target.view_count > 3000 AND target.comment_count > 30
  AND target.answer_count > 10 AND u.country = 'Spain' AND c.length > 300
GROUP BY c.user_id
ORDER BY remarks DESC
LIMIT 20;

-- name: views-of-the-linked
SELECT l.kind, avg(source.view_count) AS source_views, avg(target.view_count) AS target_views
FROM links l
JOIN posts source ON source.id = l.post_id
JOIN posts target ON target.id = l.related_post_id
JOIN users author ON author.id = target.owner_id
WHERE author.reputation > 500
GROUP BY l.kind;

-- name: talk-of-the-season
SELECT p.id, count(DISTINCT c.id) AS remarks, count(DISTINCT a.id) AS answers
FROM posts p
JOIN comments c ON c.post_id = p.id
JOIN posts a ON a.parent_id = p.id
WHERE p.created_at >= '2020-01-01' AND p.created_at < '2020-05-01'
  AND c.created_at >= '2020-01-01' AND c.created_at < '2020-05-01' AND p.score > 5
GROUP BY p.id
ORDER BY remarks DESC
LIMIT 10;


-- What goes wrong

-- name: closed-and-why
SELECT q.language, count(DISTINCT q.id) AS closed, count(*) AS close_votes
FROM posts q
JOIN votes v ON v.post_id = q.id
JOIN users u ON u.id = q.owner_id
WHERE q.kind = 'question' AND q.closed_at IS NOT NULL AND q.score < 0 AND v.kind = 'close'
GROUP BY q.language
ORDER BY closed DESC;

-- name: duplicates-voted
SELECT date_trunc('year', target.created_at) AS year, count(*) AS votes
FROM posts target
JOIN links l ON l.related_post_id = target.id
JOIN votes v ON v.post_id = target.id
JOIN users voter ON voter.id = v.user_id
WHERE target.kind = 'question' AND target.score > 5 AND target.view_count > 400
  AND target.answer_count > 3 AND target.comment_count > 5
  AND l.kind = 'duplicate' AND voter.city = 'Tokyo'
GROUP BY 1
ORDER BY 1;

-- name: downvoted-newcomers
SELECT u.country, count(DISTINCT u.id) AS users, count(*) AS downvotes
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN votes v ON v.post_id = p.id
WHERE u.post_count <= 2 AND u.reputation = 1 AND p.score < 0 AND v.kind = 'down'
GROUP BY u.country
ORDER BY downvotes DESC;

-- name: votes-against-remarks
SELECT date_trunc('year', q.created_at) AS year, count(*) AS pairs
FROM posts q
JOIN votes v ON v.post_id = q.id
JOIN comments c ON c.post_id = q.id AND c.user_id = v.user_id
JOIN users u ON u.id = v.user_id
WHERE q.kind = 'question' AND q.score > 30 AND q.view_count > 2000 AND q.comment_count > 20
  AND v.kind = 'down' AND u.country = 'Germany'
GROUP BY 1
ORDER BY 1;

-- name: closed-yet-answered
SELECT q.id, count(a.id) AS answers
FROM posts q
JOIN posts a ON a.parent_id = q.id
WHERE q.closed_at IS NOT NULL
  AND EXISTS (SELECT 1 FROM votes v WHERE v.post_id = a.id AND v.kind = 'up')
GROUP BY q.id
ORDER BY answers DESC
LIMIT 20;

-- name: self-answers
SELECT u.display_name, count(*) AS self_answers
FROM posts q
JOIN posts a ON a.parent_id = q.id AND a.owner_id = q.owner_id
JOIN users u ON u.id = q.owner_id
WHERE q.kind = 'question'
GROUP BY u.display_name
ORDER BY self_answers DESC
LIMIT 10;

-- name: good-answers-bad-questions
SELECT u.display_name, count(*) AS answers
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN posts a ON a.owner_id = u.id
JOIN posts q ON q.id = a.parent_id
JOIN votes v ON v.post_id = q.id
WHERE b.name = 'Good Answer' AND b.class = 'silver' AND u.reputation > 1000 AND u.post_count > 50
  AND v.kind = 'down'
GROUP BY u.display_name
ORDER BY answers DESC
LIMIT 20;

-- name: crowd-around-duplicates
SELECT target.id, count(DISTINCT c.user_id) AS people
FROM links l
JOIN posts target ON target.id = l.related_post_id
JOIN comments c ON c.post_id = target.id
JOIN users u ON u.id = c.user_id
WHERE l.kind = 'duplicate' AND target.score > 20 AND target.view_count > 1500
  AND target.answer_count > 5 AND u.city = 'Vienna'
GROUP BY target.id
ORDER BY people DESC
LIMIT 20;

-- name: stale-duplicates
SELECT target.id, count(*) AS copies
FROM posts target
JOIN links l ON l.related_post_id = target.id
JOIN posts source ON source.id = l.post_id
JOIN users u ON u.id = source.owner_id
WHERE target.created_at < '2016-01-01' AND target.score > 20 AND target.view_count > 2000
  AND target.accepted_answer_id IS NOT NULL AND u.reputation < 200
GROUP BY target.id
ORDER BY copies DESC;

-- name: critics-criticised
SELECT u.display_name, count(*) AS downvotes
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN posts p ON p.owner_id = u.id
JOIN votes v ON v.post_id = p.id
WHERE b.name = 'Critic' AND b.class = 'bronze' AND b.awarded_at < '2015-06-01'
  AND v.kind = 'down'
GROUP BY u.display_name
ORDER BY downvotes DESC
LIMIT 20;

-- name: edit-war-candidates
SELECT p.id
FROM posts p
JOIN comments c1 ON c1.post_id = p.id
JOIN comments c2 ON c2.post_id = p.id AND c2.user_id = c1.user_id AND c2.id > c1.id
WHERE p.kind = 'answer' AND p.created_at >= '2021-01-01' AND p.created_at < '2023-01-01'
  AND c1.length < 60 AND c2.length < 60
GROUP BY p.id
HAVING count(*) >= 2;


-- Tags

-- name: experts-of-a-tag
SELECT u.display_name, count(*) AS answers, sum(a.score) AS score
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN posts q ON q.id = pt.post_id
JOIN posts a ON a.parent_id = q.id
JOIN users u ON u.id = a.owner_id
WHERE t.name = 'sql-security-2' AND u.reputation > 300
GROUP BY u.display_name
ORDER BY score DESC
LIMIT 10;

-- name: tags-together
SELECT t1.name AS one, t2.name AS other, count(*) AS questions
FROM post_tags a
JOIN post_tags b ON b.post_id = a.post_id AND b.tag_id > a.tag_id
JOIN tags t1 ON t1.id = a.tag_id
JOIN tags t2 ON t2.id = b.tag_id
WHERE t1.topic = 'science' AND t2.topic = 'mobile'
GROUP BY 1, 2
ORDER BY questions DESC
LIMIT 20;

-- name: topics-of-the-core
SELECT t.topic, count(*) AS remarks, count(DISTINCT c.user_id) AS people
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN post_tags pt ON pt.post_id = p.id
JOIN tags t ON t.id = pt.tag_id
JOIN comments c ON c.post_id = p.id
WHERE u.reputation > 1000 AND u.post_count > 50 AND u.votes_cast > 50
  AND p.view_count > 100 AND p.answer_count > 0 AND t.topic IN ('science', 'database')
GROUP BY t.topic;

-- name: tags-of-the-hot
SELECT t.name, count(*) AS uses
FROM posts q
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
JOIN comments c ON c.post_id = q.id
WHERE q.score > 20 AND q.view_count > 1500 AND q.answer_count > 5 AND q.comment_count > 20
GROUP BY t.name
ORDER BY uses DESC
LIMIT 15;

-- name: tag-threads
SELECT t.name, count(*) AS answers, avg(a.score) AS score
FROM posts q
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
JOIN votes v ON v.post_id = q.id
JOIN posts a ON a.parent_id = q.id
WHERE q.kind = 'question' AND q.score > 10 AND q.view_count > 800 AND q.answer_count >= 3
  AND q.comment_count > 8 AND t.topic = 'database' AND v.kind = 'favorite' AND a.score > 5
GROUP BY t.name
ORDER BY answers DESC;

-- name: tag-voters
SELECT t.name, count(DISTINCT v.user_id) AS voters
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN votes v ON v.post_id = pt.post_id
JOIN users u ON u.id = v.user_id
WHERE t.name LIKE 'python%' AND u.country = 'Japan'
GROUP BY t.name
ORDER BY voters DESC;

-- name: early-tags
SELECT t.name, min(q.created_at) AS first_seen
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN posts q ON q.id = pt.post_id
JOIN users u ON u.id = q.owner_id
WHERE u.id <= 20 AND q.created_at < '2016-01-01' AND t.post_count < 300
GROUP BY t.name
ORDER BY first_seen;

-- name: audio-from-france
SELECT q.id, q.score
FROM posts q
JOIN users u ON u.id = q.owner_id
JOIN post_tags pt ON pt.post_id = q.id
JOIN tags t ON t.id = pt.tag_id
WHERE t.name LIKE 'audio%' AND u.country = 'France' AND u.language = 'fr' AND q.language = 'fr'
ORDER BY q.score DESC, q.id
LIMIT 10;

-- name: tag-bounties
SELECT t.topic, sum(v.bounty) AS points, count(DISTINCT q.id) AS questions
FROM tags t
JOIN post_tags pt ON pt.tag_id = t.id
JOIN posts q ON q.id = pt.post_id
JOIN votes v ON v.post_id = q.id
WHERE v.kind = 'bounty' AND v.bounty IS NOT NULL AND q.score > 50
GROUP BY t.topic
ORDER BY points DESC;


-- Badges

-- name: gold-in-germany
SELECT u.display_name, b.name, count(*) AS answers
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN posts a ON a.owner_id = u.id
WHERE b.class = 'gold' AND b.name = 'Legendary' AND u.country = 'Germany' AND a.kind = 'answer'
GROUP BY u.display_name, b.name
ORDER BY answers DESC
LIMIT 10;

-- name: stewards-questions-abroad
SELECT helper.country, count(*) AS answers
FROM badges b
JOIN posts q ON q.owner_id = b.user_id
JOIN posts a ON a.parent_id = q.id
JOIN users helper ON helper.id = a.owner_id
JOIN users asker ON asker.id = q.owner_id
WHERE b.class = 'gold' AND b.name = 'Copy Editor' AND q.score > 3 AND q.view_count > 200
  AND helper.country = 'Mexico'
GROUP BY helper.country;

-- name: gold-and-silver
SELECT u.display_name, count(DISTINCT g.id) AS gold, count(DISTINCT s.id) AS silver,
       count(DISTINCT p.id) AS posts
FROM users u
JOIN badges g ON g.user_id = u.id
JOIN badges s ON s.user_id = u.id
JOIN posts p ON p.owner_id = u.id
WHERE g.class = 'gold' AND g.name = 'Steward' AND s.class = 'silver' AND s.name = 'Civic Duty'
  AND p.score >= 20
GROUP BY u.id, u.display_name
ORDER BY gold DESC, silver DESC
LIMIT 30;

-- name: silver-talkers
SELECT b.name, count(*) AS remarks
FROM users u
JOIN badges b ON b.user_id = u.id
JOIN comments c ON c.user_id = u.id
JOIN posts p ON p.id = c.post_id
WHERE u.reputation > 500 AND u.post_count > 30 AND u.votes_cast > 50
  AND b.class = 'silver' AND b.name = 'Good Answer' AND p.language = 'fr'
GROUP BY b.name
ORDER BY remarks DESC;

-- name: stewards-vote
SELECT v.kind, count(*) AS votes
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN votes v ON v.user_id = u.id
WHERE b.name = 'Steward' AND b.class = 'gold' AND b.awarded_at >= '2020-01-01'
  AND u.votes_cast > 60
GROUP BY v.kind
ORDER BY votes DESC;

-- name: gold-voters
SELECT b.name, count(DISTINCT v.id) AS votes, count(DISTINCT u.id) AS people
FROM posts q
JOIN votes v ON v.post_id = q.id
JOIN users u ON u.id = v.user_id
JOIN badges b ON b.user_id = u.id
WHERE q.kind = 'question' AND q.score > 10 AND q.view_count > 800 AND q.answer_count >= 3
  AND b.class = 'gold'
GROUP BY b.name;

-- name: decorated-threads
SELECT b.class, count(*) AS remarks, avg(c.score) AS score
FROM users u
JOIN badges b ON b.user_id = u.id
JOIN posts p ON p.owner_id = u.id
JOIN comments c ON c.post_id = p.id
WHERE u.reputation > 2000 AND u.post_count > 80 AND u.votes_cast > 80 AND c.score > 3
  AND p.score BETWEEN 5 AND 50 AND p.created_at >= '2020-01-01'
GROUP BY b.class;

-- name: undecorated
SELECT u.country, count(*) AS users
FROM users u
JOIN posts p ON p.owner_id = u.id
WHERE p.score > 10 AND p.kind = 'answer'
  AND NOT EXISTS (SELECT 1 FROM badges b WHERE b.user_id = u.id AND b.class <> 'bronze')
  AND EXISTS (SELECT 1 FROM comments c WHERE c.user_id = u.id)
GROUP BY u.country
ORDER BY users DESC;

-- name: famous-askers
SELECT u.display_name, max(q.view_count) AS views, count(DISTINCT s.id) AS linked_from
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN posts q ON q.owner_id = u.id
JOIN links l ON l.related_post_id = q.id
JOIN posts s ON s.id = l.post_id
WHERE b.name = 'Famous Question' AND b.class = 'gold' AND q.score > 10 AND q.view_count > 800
  AND q.answer_count > 3 AND s.language = 'de'
GROUP BY u.display_name
ORDER BY views DESC
LIMIT 20;

-- name: yearlings-by-country
SELECT u.country, count(*) AS yearlings
FROM badges b
JOIN users u ON u.id = b.user_id
WHERE b.name = 'Yearling'
  AND u.id IN (SELECT p.owner_id FROM posts p WHERE p.created_at >= '2024-01-01')
GROUP BY u.country
ORDER BY yearlings DESC;

-- name: badge-rush
SELECT date_trunc('month', b.awarded_at) AS month, count(*) AS badges
FROM badges b
JOIN users u ON u.id = b.user_id
JOIN comments c ON c.user_id = u.id
WHERE u.country = 'India' AND u.city = 'Mumbai' AND b.class = 'bronze'
  AND c.created_at BETWEEN b.awarded_at AND b.awarded_at + interval '7 days'
GROUP BY 1
ORDER BY badges DESC
LIMIT 12;


-- How the community hangs together

-- name: commenters-who-vote
SELECT u.country, count(*) AS pairs
FROM users u
JOIN comments c ON c.user_id = u.id
JOIN votes v ON v.user_id = u.id AND v.post_id = c.post_id
WHERE v.kind = 'up'
GROUP BY u.country
ORDER BY pairs DESC;

-- name: answers-in-hot-threads
SELECT helper.country, count(*) AS answers
FROM posts q
JOIN posts a ON a.parent_id = q.id
JOIN users helper ON helper.id = a.owner_id
JOIN comments c ON c.post_id = a.id
JOIN users commenter ON commenter.id = c.user_id
WHERE q.kind = 'question' AND q.score > 3 AND q.view_count > 300 AND q.comment_count > 3
  AND q.answer_count > 2 AND commenter.country = 'Canada' AND helper.reputation > 100
GROUP BY helper.country
ORDER BY answers DESC;

-- name: guru-readers
SELECT reader.country, count(DISTINCT v.id) AS votes
FROM badges b
JOIN users guru ON guru.id = b.user_id
JOIN posts a ON a.owner_id = guru.id
JOIN votes v ON v.post_id = a.id
JOIN users reader ON reader.id = v.user_id
WHERE b.name = 'Guru' AND b.class = 'silver' AND guru.post_count > 100 AND guru.reputation > 1000
  AND a.score >= 5 AND reader.language = 'ja'
GROUP BY reader.country;

-- name: asker-and-answerer
SELECT q.language, count(*) AS threads
FROM users asker
JOIN posts q ON q.owner_id = asker.id
JOIN posts a ON a.parent_id = q.id
JOIN votes v ON v.post_id = q.id
JOIN users helper ON helper.id = a.owner_id
WHERE asker.country = 'United States' AND asker.language = 'en' AND asker.reputation > 500
  AND asker.post_count > 30 AND v.kind = 'up' AND helper.city = 'Kyiv'
GROUP BY q.language;

-- name: helpers-of-newcomers
SELECT helper.display_name, count(*) AS answers
FROM users newcomer
JOIN posts q ON q.owner_id = newcomer.id
JOIN posts a ON a.parent_id = q.id
JOIN users helper ON helper.id = a.owner_id
WHERE newcomer.reputation < 30 AND newcomer.post_count = 1
  AND helper.reputation > 1000 AND helper.post_count > 50
GROUP BY helper.display_name
ORDER BY answers DESC
LIMIT 15;

-- name: same-thread
SELECT q.id, count(*) AS pairs
FROM posts q
JOIN comments one ON one.post_id = q.id
JOIN comments other ON other.post_id = q.id AND other.id > one.id
JOIN users u1 ON u1.id = one.user_id
JOIN users u2 ON u2.id = other.user_id
WHERE q.score > 20 AND q.view_count > 1500 AND q.answer_count > 5
  AND u1.city = 'Berlin' AND u2.city = 'Paris'
GROUP BY q.id
ORDER BY pairs DESC
LIMIT 10;

-- name: teachers-of-newcomers
SELECT b.name, count(*) AS answers
FROM users newcomer
JOIN posts q ON q.owner_id = newcomer.id
JOIN posts a ON a.parent_id = q.id
JOIN users helper ON helper.id = a.owner_id
JOIN badges b ON b.user_id = helper.id
WHERE newcomer.post_count = 1 AND newcomer.reputation < 500 AND newcomer.id > 15000
  AND helper.reputation > 1000 AND helper.post_count > 50 AND helper.votes_cast > 50
GROUP BY b.name
ORDER BY answers DESC;

-- name: language-bridges
SELECT u.language AS speaks, q.language AS answers_in, count(*) AS answers
FROM users u
JOIN posts a ON a.owner_id = u.id
JOIN posts q ON q.id = a.parent_id
WHERE u.language <> q.language AND a.language = q.language
GROUP BY 1, 2
ORDER BY answers DESC;

-- name: german-circles
SELECT a.city AS author, c.city AS commenter, v.city AS voter, count(*) AS times
FROM users a
JOIN posts p ON p.owner_id = a.id
JOIN comments m ON m.post_id = p.id
JOIN users c ON c.id = m.user_id
JOIN votes w ON w.post_id = p.id
JOIN users v ON v.id = w.user_id
WHERE a.country = 'Germany' AND a.language = 'de' AND p.language = 'de' AND p.score > 5
  AND c.country = 'Germany' AND v.country = 'Germany'
GROUP BY 1, 2, 3
ORDER BY times DESC
LIMIT 20;

-- name: chains-of-links
SELECT l1.post_id, count(*) AS paths
FROM links l1
JOIN links l2 ON l2.post_id = l1.related_post_id
JOIN links l3 ON l3.post_id = l2.related_post_id
JOIN posts p ON p.id = l3.related_post_id
WHERE l1.kind = 'duplicate' AND p.score > 200 AND p.view_count > 10000
GROUP BY l1.post_id
ORDER BY paths DESC, l1.post_id
LIMIT 20;

-- name: two-cities
SELECT date_trunc('year', c.created_at) AS year, count(*) AS remarks
FROM users author
JOIN posts p ON p.owner_id = author.id
JOIN comments c ON c.post_id = p.id
JOIN users commenter ON commenter.id = c.user_id
WHERE author.city = 'London' AND author.country = 'United Kingdom' AND author.language = 'en'
  AND commenter.city = 'Berlin' AND commenter.country = 'Germany' AND commenter.language = 'de'
GROUP BY 1
ORDER BY 1;

-- name: echo
SELECT u.display_name, count(*) AS echoes
FROM users u
JOIN posts a ON a.owner_id = u.id
JOIN comments c ON c.post_id = a.parent_id AND c.user_id = u.id
WHERE a.kind = 'answer' AND u.reputation > 100
GROUP BY u.display_name
ORDER BY echoes DESC
LIMIT 20;

-- name: voters-of-a-day
SELECT u.city, count(DISTINCT v.user_id) AS voters, count(DISTINCT p.owner_id) AS authors
FROM votes v
JOIN posts p ON p.id = v.post_id
JOIN users u ON u.id = v.user_id
WHERE v.created_at >= '2019-03-14' AND v.created_at < '2019-03-15' AND p.kind = 'question'
GROUP BY u.city
ORDER BY voters DESC;


-- Reports over everything

-- name: yearly-report
SELECT date_trunc('year', p.created_at) AS year, p.kind, u.language,
       count(*) AS posts, avg(p.score) AS score, sum(c.length) AS remark_length
FROM posts p
JOIN users u ON u.id = p.owner_id
JOIN comments c ON c.post_id = p.id
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- name: votes-by-language
SELECT p.language, v.kind, count(*) AS votes
FROM votes v
JOIN posts p ON p.id = v.post_id
JOIN users u ON u.id = v.user_id
WHERE u.language <> p.language
GROUP BY 1, 2
ORDER BY votes DESC;

-- name: activity-by-country
SELECT u.country, count(DISTINCT p.id) AS posts, count(DISTINCT c.id) AS comments
FROM users u
LEFT JOIN posts p ON p.owner_id = u.id AND p.created_at >= '2024-07-01'
LEFT JOIN comments c ON c.user_id = u.id AND c.created_at >= '2024-07-01'
GROUP BY u.country
ORDER BY posts DESC;

-- name: long-reads
SELECT u.display_name, p.body_length, p.score
FROM posts p
JOIN users u ON u.id = p.owner_id
JOIN votes v ON v.post_id = p.id
WHERE p.body_length > 1500 AND p.score > 40 AND p.view_count > 2000 AND v.kind = 'down'
ORDER BY p.body_length DESC
LIMIT 20;

-- name: score-check
SELECT count(*) AS wrong
FROM posts p
JOIN (SELECT post_id, count(*) FILTER (WHERE kind = 'up')
                       - count(*) FILTER (WHERE kind = 'down') AS score
      FROM votes GROUP BY post_id) AS counted ON counted.post_id = p.id
JOIN users u ON u.id = p.owner_id
WHERE counted.score <> p.score;

-- name: remarks-of-the-decorated
SELECT p.kind, count(*) AS remarks, avg(c.length) AS length
FROM badges g
JOIN badges s ON s.user_id = g.user_id
JOIN posts p ON p.owner_id = g.user_id
JOIN comments c ON c.post_id = p.id
WHERE g.class = 'gold' AND g.name = 'Legendary' AND s.class = 'silver' AND s.name = 'Yearling'
  AND p.score > 10 AND p.view_count > 800 AND p.language = 'es' AND c.score > 2
GROUP BY p.kind;

-- name: first-and-last
SELECT u.country, min(p.created_at) AS first_post, max(c.created_at) AS last_remark
FROM users u
JOIN posts p ON p.owner_id = u.id
JOIN comments c ON c.user_id = u.id
WHERE u.created_at >= '2022-01-01'
GROUP BY u.country
ORDER BY first_post;

-- name: best-of-each-country
SELECT country, display_name, score
FROM (
    SELECT u.country, u.display_name, sum(a.score) AS score,
           row_number() OVER (
               PARTITION BY u.country ORDER BY sum(a.score) DESC, u.display_name
           ) AS place
    FROM users u
    JOIN posts a ON a.owner_id = u.id
    JOIN posts q ON q.id = a.parent_id
    WHERE q.view_count > 200
    GROUP BY u.country, u.display_name
) AS ranked
WHERE place <= 3
ORDER BY country, place;

-- name: one-question
SELECT q.id, q.score, u.display_name, count(a.id) AS answers
FROM posts q
JOIN users u ON u.id = q.owner_id
LEFT JOIN posts a ON a.parent_id = q.id
WHERE q.id = 12001
GROUP BY q.id, q.score, u.display_name;

-- name: one-remark
SELECT c.length, p.id AS post, q.id AS question, u.display_name
FROM comments c
JOIN posts p ON p.id = c.post_id
JOIN users u ON u.id = c.user_id
LEFT JOIN posts q ON q.id = p.parent_id
WHERE c.id BETWEEN 50000 AND 50020;
