BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE changes (
	id INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	finding TEXT NOT NULL, 
	rows TEXT NOT NULL, 
	undone_at VARCHAR(32), 
	CONSTRAINT pk_changes PRIMARY KEY (id)
);
INSERT INTO "changes" VALUES(1,'2026-11-25T16:51:47+00:00','rung','exclude','near duplicate','near duplicates','{"6": {"change_id": null, "queued": "", "state": "unreviewed", "mark": "", "priority": 2, "evidence": "{}", "since": 0, "decision_id": null, "flagged": 0}}',NULL);
CREATE TABLE decisions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	row_id INTEGER NOT NULL, 
	reviewer_id INTEGER NOT NULL, 
	verdict VARCHAR(16) NOT NULL, 
	payload TEXT, 
	reason TEXT NOT NULL, 
	remark TEXT NOT NULL, 
	guideline INTEGER, 
	seconds FLOAT, 
	token VARCHAR(64) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	supersedes INTEGER, 
	CONSTRAINT fk_decisions_guideline_guidelines FOREIGN KEY(guideline) REFERENCES guidelines (version), 
	CONSTRAINT fk_decisions_reviewer_id_reviewers FOREIGN KEY(reviewer_id) REFERENCES reviewers (id), 
	CONSTRAINT fk_decisions_row_id_rows FOREIGN KEY(row_id) REFERENCES rows (id), 
	CONSTRAINT fk_decisions_supersedes_decisions FOREIGN KEY(supersedes) REFERENCES decisions (id)
);
INSERT INTO "decisions" VALUES(1,10,1,'approve',NULL,'','',1,6.05478286743164062e-02,'kfNBSGu1dKVb89tpz03a0o90','2026-11-25T16:51:47+00:00',NULL);
INSERT INTO "decisions" VALUES(2,1,1,'edit','{"messages": [{"role": "user", "content": "Question 1 alpha1 beta1?"}, {"role": "assistant", "content": "better answer"}]}','','',1,1.10464096069335937e-02,'dtiNShT9orf86b1Ri7ECDOr1','2026-11-25T16:51:47+00:00',NULL);
INSERT INTO "decisions" VALUES(3,2,2,'reject',NULL,'wrong answer','see 2.4',1,1.08704566955566406e-02,'goiABf7iTAiayGTXL5sjVywJ','2026-11-25T16:51:47+00:00',NULL);
INSERT INTO "decisions" VALUES(4,3,2,'approve',NULL,'','',1,1.04575157165527343e-02,'oHvuo_T24ZYsEAhirRh8hGwr','2026-11-25T16:51:47+00:00',NULL);
INSERT INTO "decisions" VALUES(5,3,2,'undo',NULL,'','',NULL,NULL,'','2026-11-25T16:51:47+00:00',4);
INSERT INTO "decisions" VALUES(6,3,1,'skip',NULL,'','',1,1.04510784149169921e-02,'ZKVPGQU9_9DqEg8h3OpEx_Am','2026-11-25T16:51:47+00:00',NULL);
INSERT INTO "decisions" VALUES(7,4,1,'unsure',NULL,'','',1,1.12814903259277343e-02,'4dwz_cH3zOC-yLftjPoNh4-o','2026-11-25T16:51:47+00:00',NULL);
INSERT INTO "decisions" VALUES(8,4,2,'approve',NULL,'','',2,1.26366615295410156e-02,'vS7wg5NYAG9Irng5y7D5ko3k','2026-11-25T16:51:47+00:00',NULL);
CREATE TABLE drafts (
	row_id INTEGER NOT NULL, 
	reviewer_id INTEGER NOT NULL, 
	payload TEXT NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_drafts PRIMARY KEY (row_id, reviewer_id), 
	CONSTRAINT fk_drafts_reviewer_id_reviewers FOREIGN KEY(reviewer_id) REFERENCES reviewers (id), 
	CONSTRAINT fk_drafts_row_id_rows FOREIGN KEY(row_id) REFERENCES rows (id)
);
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at VARCHAR(32) NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	ref TEXT NOT NULL, 
	detail TEXT NOT NULL
);
INSERT INTO "events" VALUES(1,'2026-11-25T16:51:47+00:00','rung','exclude','change-1','{"reason": "near duplicate", "rows": 1}');
INSERT INTO "events" VALUES(2,'2026-11-25T16:51:47+00:00','rung','guideline','guideline-1','{"sha256": "c1c5d873fb67af323a974d8962a68cfb9fc1e6d9b89c995128908ffa84ccd12a"}');
INSERT INTO "events" VALUES(3,'2026-11-25T16:51:47+00:00','rung','invite','lena','{"role": "lead", "days": 3650}');
INSERT INTO "events" VALUES(4,'2026-11-25T16:51:47+00:00','rung','guideline','guideline-2','{"sha256": "a6124b617e2dec06193d388e5b20980395cee5381bcdc538c49cfc9d29fed531"}');
INSERT INTO "events" VALUES(5,'2026-11-25T16:51:47+00:00','priya','override','review','{"reason": "a contract"}');
CREATE TABLE facts (
	"key" VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY ("key")
);
INSERT INTO "facts" VALUES('program','0.1.0');
INSERT INTO "facts" VALUES('queue','{"pool": "all", "sample": 149, "allowed": 0, "overlap": 0.0, "accept_automatic": false, "seed": 13, "rows": 10, "changes": 1, "undone": 0}');
CREATE TABLE guidelines (
	version INTEGER NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	text TEXT NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_guidelines PRIMARY KEY (version), 
	CONSTRAINT uq_guidelines_sha256 UNIQUE (sha256)
);
INSERT INTO "guidelines" VALUES(1,'c1c5d873fb67af323a974d8962a68cfb9fc1e6d9b89c995128908ffa84ccd12a','# Guideline

Code the complication.
','2026-11-25T16:51:47+00:00');
INSERT INTO "guidelines" VALUES(2,'a6124b617e2dec06193d388e5b20980395cee5381bcdc538c49cfc9d29fed531','# Guideline

Code the complication, not the symptom.
','2026-11-25T16:51:47+00:00');
CREATE TABLE links (
	row_id INTEGER NOT NULL, 
	other_id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	similarity FLOAT NOT NULL, 
	CONSTRAINT pk_links PRIMARY KEY (row_id, other_id, kind), 
	CONSTRAINT fk_links_other_id_rows FOREIGN KEY(other_id) REFERENCES rows (id), 
	CONSTRAINT fk_links_row_id_rows FOREIGN KEY(row_id) REFERENCES rows (id)
);
CREATE TABLE plans (
	id INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	seed INTEGER NOT NULL, 
	population INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	allowed INTEGER NOT NULL, 
	error FLOAT NOT NULL, 
	replaces INTEGER, 
	CONSTRAINT pk_plans PRIMARY KEY (id), 
	CONSTRAINT fk_plans_replaces_plans FOREIGN KEY(replaces) REFERENCES plans (id)
);
CREATE TABLE reviewers (
	id INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	note TEXT NOT NULL, 
	token_hash VARCHAR(64), 
	token_until FLOAT, 
	at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_reviewers PRIMARY KEY (id), 
	CONSTRAINT uq_reviewers_name UNIQUE (name)
);
INSERT INTO "reviewers" VALUES(1,'dana','reviewer','person','',NULL,NULL,'2026-11-25T16:51:47+00:00');
INSERT INTO "reviewers" VALUES(2,'mo','reviewer','person','',NULL,NULL,'2026-11-25T16:51:47+00:00');
INSERT INTO "reviewers" VALUES(3,'lena','lead','person','','b03cdd4a7854f5007fb152c8f39f626b7f310883f5cb637906fc8877850138ee',2.11098550755582952e+09,'2026-11-25T16:51:47+00:00');
CREATE TABLE rows (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	role VARCHAR(16) NOT NULL, 
	origin VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	payload TEXT NOT NULL, 
	original TEXT, 
	source_id INTEGER, 
	line INTEGER, 
	meta TEXT NOT NULL, 
	mark VARCHAR(16) NOT NULL, 
	queued VARCHAR(32) NOT NULL, 
	priority INTEGER NOT NULL, 
	needed INTEGER NOT NULL, 
	flagged INTEGER NOT NULL, 
	since INTEGER NOT NULL, 
	plan_id INTEGER, 
	sampled INTEGER NOT NULL, 
	change_id INTEGER, 
	evidence TEXT NOT NULL, 
	decision_id INTEGER, 
	skipped_by INTEGER, 
	skipped_at FLOAT, 
	lease_owner INTEGER, 
	lease_token VARCHAR(64), 
	lease_at FLOAT, 
	lease_until FLOAT, 
	CONSTRAINT fk_rows_change_id_changes FOREIGN KEY(change_id) REFERENCES changes (id), 
	CONSTRAINT fk_rows_lease_owner_reviewers FOREIGN KEY(lease_owner) REFERENCES reviewers (id), 
	CONSTRAINT fk_rows_plan_id_plans FOREIGN KEY(plan_id) REFERENCES plans (id), 
	CONSTRAINT fk_rows_skipped_by_reviewers FOREIGN KEY(skipped_by) REFERENCES reviewers (id), 
	CONSTRAINT fk_rows_source_id_sources FOREIGN KEY(source_id) REFERENCES sources (id)
);
INSERT INTO "rows" VALUES(1,'pool','import','edited','f2d6748d265565664933657ea7bbb1028893d2b4492acb61d1c3400c06ffc6aa','{"messages": [{"role": "user", "content": "Question 1 alpha1 beta1?"}, {"role": "assistant", "content": "better answer"}]}','{"messages": [{"role": "user", "content": "Question 1 alpha1 beta1?"}, {"role": "assistant", "content": "answer 1"}]}',NULL,NULL,'{}','','policy',2,1,0,0,NULL,0,NULL,'{}',2,NULL,NULL,1,NULL,1.79562550745273399e+09,NULL);
INSERT INTO "rows" VALUES(2,'pool','import','rejected','5fe487329e9503042d1923107e3bf7e92044e8ea7f50015cb6a81f526e7414b0','{"messages": [{"role": "user", "content": "Question 2 alpha2 beta2?"}, {"role": "assistant", "content": "answer 2"}]}',NULL,NULL,NULL,'{}','','policy',2,1,0,0,NULL,0,NULL,'{}',3,NULL,NULL,2,NULL,1.79562550747253894e+09,NULL);
INSERT INTO "rows" VALUES(3,'pool','import','skipped','d4f450c5d17e072655079dcfb10befc54f68314f44b599b2c9e1d3efd9c4bd6a','{"messages": [{"role": "user", "content": "Question 3 alpha3 beta3?"}, {"role": "assistant", "content": "answer 3"}]}',NULL,NULL,NULL,'{}','','policy',2,1,0,0,NULL,0,NULL,'{}',NULL,1,1.79562550752336072e+09,1,NULL,1.79562550751290965e+09,NULL);
INSERT INTO "rows" VALUES(4,'pool','import','approved','d09378b582aea360b98cf73193d98adae0e423dcf761ea10d29ccdd3fd8ce0c0','{"messages": [{"role": "user", "content": "Question 4 alpha4 beta4?"}, {"role": "assistant", "content": "answer 4"}]}',NULL,NULL,NULL,'{}','','policy',2,1,0,0,NULL,0,NULL,'{}',8,NULL,NULL,2,NULL,1.79562550756520581e+09,NULL);
INSERT INTO "rows" VALUES(5,'pool','import','pending','6d04f4b02cf9754fe1841ed902aa8d171e591a2182a73c347f804a7ab5658a85','{"messages": [{"role": "user", "content": "Question 5 alpha5 beta5?"}, {"role": "assistant", "content": "answer 5"}]}',NULL,NULL,NULL,'{}','','policy',2,1,0,0,NULL,0,NULL,'{}',NULL,NULL,NULL,3,'bK4kHGk6KAInJtxMcC2aQQgn',1.79562550758502721e+09,1.79562640758502721e+09);
INSERT INTO "rows" VALUES(6,'pool','import','pending','469e394002834f2390b0b6b7380426bd7219440d245ade031301888171812b6c','{"messages": [{"role": "user", "content": "Question 6 alpha6 beta6?"}, {"role": "assistant", "content": "answer 6"}]}',NULL,NULL,NULL,'{}','','policy',2,1,0,0,NULL,0,1,'{"kept": "r-000001", "similarity": 0.9}',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES(7,'candidates','generated','pending','bef0f6da083ff7c006900ff2d9729c9fb056fb82ee3bb4431f7e47d5762e8885','{"messages": [{"role": "user", "content": "Draft 0 gamma0?"}, {"role": "assistant", "content": "draft answer 0"}]}',NULL,NULL,NULL,'{"strategy": "paraphrase", "model": "m", "request": "q0"}','','generated',2,1,0,0,NULL,0,NULL,'{}',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES(8,'candidates','generated','pending','9cbf2891c535a6ac9c2b9238434e33dfe4b57d62470eccfee9dc25de2c2514cf','{"messages": [{"role": "user", "content": "Draft 1 gamma1?"}, {"role": "assistant", "content": "draft answer 1"}]}',NULL,NULL,NULL,'{"strategy": "paraphrase", "model": "m", "request": "q1"}','','generated',2,1,0,0,NULL,0,NULL,'{}',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES(9,'candidates','generated','pending','e34c12038759e7fcd30cd53b1bcc2e437fae2cde88fe35c9c38a0d7e6b885dee','{"messages": [{"role": "user", "content": "Draft 2 gamma2?"}, {"role": "assistant", "content": "draft answer 2"}]}',NULL,NULL,NULL,'{"strategy": "paraphrase", "model": "m", "request": "q2"}','','generated',2,1,0,0,NULL,0,NULL,'{}',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES(10,'test','import','approved','a3a84d6a1a35cae50501adc1c571fdae2efbba8e36e1f340cba557009b63449e','{"messages": [{"role": "user", "content": "Test question delta?"}, {"role": "assistant", "content": "test answer"}]}',NULL,NULL,NULL,'{}','','policy',0,1,0,0,NULL,0,NULL,'{}',1,NULL,NULL,1,NULL,1.79562550737998414e+09,NULL);
CREATE TABLE sources (
	id INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	counts TEXT NOT NULL, 
	CONSTRAINT pk_sources PRIMARY KEY (id), 
	CONSTRAINT uq_sources_sha256_role_path UNIQUE (sha256, role, path)
);
CREATE INDEX ix_events_kind ON events (kind);
CREATE INDEX ix_reviewers_token_hash ON reviewers (token_hash);
CREATE INDEX ix_rows_lease_owner ON rows (lease_owner);
CREATE INDEX ix_rows_role_content_hash ON rows (role, content_hash);
CREATE INDEX ix_rows_state_priority_id ON rows (state, priority, id);
CREATE INDEX ix_links_other_id ON links (other_id);
CREATE INDEX ix_decisions_row_id_reviewer_id ON decisions (row_id, reviewer_id);
CREATE INDEX ix_decisions_supersedes ON decisions (supersedes);
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('rows',10);
INSERT INTO "sqlite_sequence" VALUES('events',5);
INSERT INTO "sqlite_sequence" VALUES('decisions',8);
COMMIT;
