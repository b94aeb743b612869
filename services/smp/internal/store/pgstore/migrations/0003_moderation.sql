-- A blocked queue that its owner had suspended before: it is off again, not active, once it is unblocked (smp.md 8.3).
ALTER TABLE queues ADD blocking_was_off boolean NOT NULL DEFAULT false;
