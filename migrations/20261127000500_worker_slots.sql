-- Queues of one worker run different numbers of jobs at once.
ALTER TABLE job_workers ADD slots integer[];
COMMENT ON COLUMN job_workers.slots IS 'How many jobs of each of its queues it runs at once, in the order of queues. Null from workers of an older version: concurrency, for each.';
COMMENT ON COLUMN job_workers.concurrency IS 'The least of slots.';
