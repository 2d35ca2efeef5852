BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE attempts (
	job VARCHAR(12) NOT NULL, 
	number INTEGER NOT NULL, 
	object_name VARCHAR(63) NOT NULL, 
	created BIGINT NOT NULL, 
	launched BIGINT, 
	contacted BIGINT, 
	first_cell BIGINT, 
	last_contact BIGINT, 
	ended BIGINT, 
	cause VARCHAR(32), 
	phase VARCHAR(16) NOT NULL, 
	cell INTEGER NOT NULL, 
	total INTEGER NOT NULL, 
	cell_seconds JSON NOT NULL, 
	memory_bytes BIGINT NOT NULL, 
	memory_peak_bytes BIGINT NOT NULL, 
	memory_limit_bytes BIGINT NOT NULL, 
	log_tail TEXT NOT NULL, 
	result JSON, 
	handle JSON NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (job, number), 
	CONSTRAINT fk_attempts_job_jobs FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_attempts_object_name UNIQUE (object_name)
);
INSERT INTO "attempts" VALUES('q0a1b2c3d4e5',1,'job-q0a1b2c3d4e5-1',1795521601000000,NULL,NULL,NULL,NULL,NULL,NULL,'',0,0,'[]',0,0,0,'',NULL,'{}');
INSERT INTO "attempts" VALUES('s0a1b2c3d4e5',1,'job-s0a1b2c3d4e5-1',1795521602000000,1795521603000000,NULL,NULL,NULL,NULL,NULL,'',0,0,'[]',0,0,0,'',NULL,'{"pid": 7}');
INSERT INTO "attempts" VALUES('r0a1b2c3d4e5',1,'job-r0a1b2c3d4e5-1',1795521604000000,1795521605000000,1795521606000000,1795521606000000,1795521606000000,NULL,NULL,'running',1,2,'[]',5,6,7,'hello',NULL,'{"pid": 8}');
INSERT INTO "attempts" VALUES('c0a1b2c3d4e5',1,'job-c0a1b2c3d4e5-1',1795521607000000,1795521608000000,1795521609000000,1795521609000000,1795521609000000,NULL,NULL,'running',1,2,'[]',5,6,7,'hello',NULL,'{"pid": 8}');
INSERT INTO "attempts" VALUES('d0a1b2c3d4e5',1,'job-d0a1b2c3d4e5-1',1795521611000000,1795521612000000,1795521613000000,1795521613000000,1795521614000000,1795521615000000,NULL,'ended',2,2,'[0.5, 0.25]',5,6,7,'hello','{"job": "d0a1b2c3d4e5", "attempt": 1, "outcome": "succeeded", "exit_code": 0, "cell": 2, "total": 2, "cell_seconds": [0.5, 0.25], "error": null, "message": "", "started": "", "ended": "", "memory_peak_bytes": 0, "memory_limit_bytes": 0, "time_limit_seconds": 600, "name": "a succeeded job", "path": "work/succeeded.ipynb", "output": "o", "kernel": {"name": "python3", "source": "image", "language": "python", "version": "3.11.2"}, "parameters": {}, "group": "spatial-lab", "image": "notebook", "machine_class": "small", "git": null, "versions": {}, "notebook_parameters": {"gene": "''Pecam1''"}, "snapshot_sha256": "", "image_reference": "", "lock_sha256": "", "packages_sha256": "", "machine": {}}','{"pid": 8}');
INSERT INTO "attempts" VALUES('f0a1b2c3d4e5',1,'job-f0a1b2c3d4e5-1',1795521616000000,1795521617000000,NULL,NULL,NULL,1795521618000000,'interrupted','ended',0,0,'[]',0,0,0,'',NULL,'{}');
INSERT INTO "attempts" VALUES('f0a1b2c3d4e5',2,'job-f0a1b2c3d4e5-2',1795521618000000,1795521619000000,1795521620000000,1795521620000000,1795521620000000,1795521621000000,'cell-error','ended',1,2,'[]',5,6,7,'hello',NULL,'{"pid": 8}');
INSERT INTO "attempts" VALUES('x0a1b2c3d4e5',1,'job-x0a1b2c3d4e5-1',1795521622000000,NULL,NULL,NULL,NULL,1795521624000000,NULL,'ended',0,0,'[]',0,0,0,'',NULL,'{}');
CREATE TABLE jobs (
	id VARCHAR(12) NOT NULL, 
	owner VARCHAR(255) NOT NULL, 
	idempotency_key VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	path TEXT NOT NULL, 
	"group" VARCHAR(64) NOT NULL, 
	image VARCHAR(64) NOT NULL, 
	machine_class VARCHAR(64) NOT NULL, 
	kernel JSON NOT NULL, 
	parameters JSON NOT NULL, 
	time_limit_seconds INTEGER NOT NULL, 
	interruptible BOOLEAN NOT NULL, 
	output TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason VARCHAR(32), 
	cause VARCHAR(32), 
	facts JSON NOT NULL, 
	attempt INTEGER NOT NULL, 
	has_result BOOLEAN NOT NULL, 
	cancel_requested BIGINT, 
	created BIGINT NOT NULL, 
	started BIGINT, 
	ended BIGINT, 
	rerun_of VARCHAR(12), 
	version BIGINT NOT NULL, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT uq_jobs_owner_idempotency_key UNIQUE (owner, idempotency_key)
);
INSERT INTO "jobs" VALUES('q0a1b2c3d4e5','ada','key-00000000','0000000000000000000000000000000000000000000000000000000000000000','a queued job','work/queued.ipynb','spatial-lab','notebook','small','{"name": "python3", "source": "image"}','{"gene": "Kdr", "n": [1, 2.5, null, true], "\u00e9": {"a": "\u201cx\u201d"}}',600,1,'offline-jobs/queued/2026-11-24T120001-q0a1b2c3d4e5','queued','service',NULL,'{}',1,0,NULL,1795521601000000,NULL,NULL,NULL,1);
INSERT INTO "jobs" VALUES('s0a1b2c3d4e5','ada','key-00000001','0000000000000000000000000000000000000000000000000000000000000001','a starting job','work/starting.ipynb','spatial-lab','notebook','small','{"name": "python3", "source": "image"}','{}',600,0,'offline-jobs/starting/2026-11-24T120002-s0a1b2c3d4e5','starting','kernel-start',NULL,'{}',1,0,NULL,1795521602000000,NULL,NULL,NULL,4);
INSERT INTO "jobs" VALUES('r0a1b2c3d4e5','ada','key-00000002','0000000000000000000000000000000000000000000000000000000000000002','a running job','work/running.ipynb','imaging-core','stomics','large','{"name": "mine", "source": "home"}','{}',86400,0,'offline-jobs/running/2026-11-24T120004-r0a1b2c3d4e5','running',NULL,NULL,'{}',1,0,NULL,1795521604000000,1795521606000000,NULL,NULL,8);
INSERT INTO "jobs" VALUES('c0a1b2c3d4e5','ada','key-00000003','0000000000000000000000000000000000000000000000000000000000000003','a cancelling job','work/cancelling.ipynb','spatial-lab','notebook','small','{"name": "python3", "source": "image"}','{}',600,0,'offline-jobs/cancelling/2026-11-24T120007-c0a1b2c3d4e5','cancelling',NULL,NULL,'{}',1,0,1795521610000000,1795521607000000,1795521609000000,NULL,NULL,14);
INSERT INTO "jobs" VALUES('d0a1b2c3d4e5','ada','key-00000004','0000000000000000000000000000000000000000000000000000000000000004','a succeeded job','work/succeeded.ipynb','spatial-lab','notebook','small','{"name": "python3", "source": "image"}','{}',600,0,'offline-jobs/succeeded/2026-11-24T120011-d0a1b2c3d4e5','succeeded',NULL,NULL,'{}',1,0,NULL,1795521611000000,1795521613000000,1795521615000000,NULL,20);
INSERT INTO "jobs" VALUES('f0a1b2c3d4e5','ada','key-00000005','0000000000000000000000000000000000000000000000000000000000000005','a failed job','work/failed.ipynb','spatial-lab','notebook','small','{"name": "python3", "source": "image"}','{}',600,0,'offline-jobs/failed/2026-11-24T120016-f0a1b2c3d4e5','failed',NULL,'cell-error','{"error_name": "ValueError", "error_value": "no"}',2,0,NULL,1795521616000000,1795521620000000,1795521621000000,'d0a1b2c3d4e5',27);
INSERT INTO "jobs" VALUES('x0a1b2c3d4e5','ben','key-00000006','0000000000000000000000000000000000000000000000000000000000000006','a cancelled job','work/cancelled.ipynb','spatial-lab','notebook','small','{"name": "python3", "source": "image"}','{}',600,0,'offline-jobs/cancelled/2026-11-24T120022-x0a1b2c3d4e5','cancelled',NULL,NULL,'{}',1,0,1795521623000000,1795521622000000,NULL,1795521624000000,NULL,30);
CREATE TABLE owners (
	name VARCHAR(255) NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT pk_owners PRIMARY KEY (name)
);
INSERT INTO "owners" VALUES('ada',33);
INSERT INTO "owners" VALUES('ben',30);
CREATE TABLE removals (
	job VARCHAR(12) NOT NULL, 
	attempts INTEGER NOT NULL, 
	CONSTRAINT pk_removals PRIMARY KEY (job)
);
INSERT INTO "removals" VALUES('t0a1b2c3d4e5',1);
CREATE TABLE snapshots (
	job VARCHAR(12) NOT NULL, 
	notebook TEXT NOT NULL, 
	CONSTRAINT pk_snapshots PRIMARY KEY (job), 
	CONSTRAINT fk_snapshots_job_jobs FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "snapshots" VALUES('q0a1b2c3d4e5','{"cells": [{"cell_type": "code", "execution_count": null, "id": "cell-0", "metadata": {}, "outputs": [], "source": "gene = ''Pecam1''"}, {"cell_type": "code", "execution_count": null, "id": "cell-1", "metadata": {}, "outputs": [], "source": "print(gene)"}], "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}');
INSERT INTO "snapshots" VALUES('s0a1b2c3d4e5','{"cells": [{"cell_type": "code", "execution_count": null, "id": "cell-0", "metadata": {}, "outputs": [], "source": "gene = ''Pecam1''"}, {"cell_type": "code", "execution_count": null, "id": "cell-1", "metadata": {}, "outputs": [], "source": "print(gene)"}], "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}');
INSERT INTO "snapshots" VALUES('r0a1b2c3d4e5','{"cells": [{"cell_type": "code", "execution_count": null, "id": "cell-0", "metadata": {}, "outputs": [], "source": "gene = ''Pecam1''"}, {"cell_type": "code", "execution_count": null, "id": "cell-1", "metadata": {}, "outputs": [], "source": "print(gene)"}], "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}');
INSERT INTO "snapshots" VALUES('c0a1b2c3d4e5','{"cells": [{"cell_type": "code", "execution_count": null, "id": "cell-0", "metadata": {}, "outputs": [], "source": "gene = ''Pecam1''"}, {"cell_type": "code", "execution_count": null, "id": "cell-1", "metadata": {}, "outputs": [], "source": "print(gene)"}], "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}');
INSERT INTO "snapshots" VALUES('d0a1b2c3d4e5','{"cells": [{"cell_type": "code", "execution_count": null, "id": "cell-0", "metadata": {}, "outputs": [], "source": "gene = ''Pecam1''"}, {"cell_type": "code", "execution_count": null, "id": "cell-1", "metadata": {}, "outputs": [], "source": "print(gene)"}], "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}');
INSERT INTO "snapshots" VALUES('f0a1b2c3d4e5','{"cells": [{"cell_type": "code", "execution_count": null, "id": "cell-0", "metadata": {}, "outputs": [], "source": "gene = ''Pecam1''"}, {"cell_type": "code", "execution_count": null, "id": "cell-1", "metadata": {}, "outputs": [], "source": "print(gene)"}], "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}');
INSERT INTO "snapshots" VALUES('x0a1b2c3d4e5','{"cells": [{"cell_type": "code", "execution_count": null, "id": "cell-0", "metadata": {}, "outputs": [], "source": "gene = ''Pecam1''"}, {"cell_type": "code", "execution_count": null, "id": "cell-1", "metadata": {}, "outputs": [], "source": "print(gene)"}], "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}');
CREATE INDEX ix_jobs_owner_created_id ON jobs (owner, created, id);
CREATE INDEX ix_jobs_created_id ON jobs (created, id);
CREATE INDEX ix_jobs_state_created_id ON jobs (state, created, id);
CREATE INDEX ix_owners_version ON owners (version);
COMMIT;
