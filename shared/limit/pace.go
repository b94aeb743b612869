package limit

import "time"

// savedMinutes is for how long what a source did not use is saved up for it. Phones come all at once when a relay has
// restarted, and somebody who joins a group makes queues for all its members at once. Afterwards they are quiet for long.
const savedMinutes = 10

// pace is how often something may be done: a bucket that holds savedMinutes of it. The state of a bucket is one number, the
// time at which it will be full again; each use moves that time by interval. Times count from an epoch of the owner's.
type pace struct {
	interval time.Duration // between two uses, on average
	room     time.Duration // how far ahead of now the time may be
}

func newPace(perMinute float64) pace {
	interval := max(time.Duration(float64(time.Minute)/perMinute), 1)
	return pace{interval: interval, room: max(savedMinutes*time.Minute, interval)}
}

// wait tells how long it takes until there is one use left in a bucket that is full at the given time.
func (p pace) wait(full, now time.Duration) time.Duration {
	return max(full, now) - now + p.interval - p.room
}

// use takes n uses, and returns when the bucket is full again. It may go into debt: who has one use left may do the work of
// a whole block, and the next one waits.
func (p pace) use(full, now time.Duration, n int) time.Duration {
	return max(full, now) + time.Duration(n)*p.interval
}
