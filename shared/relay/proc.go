package relay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process takes of the machine, as Linux tells it.
type Usage struct {
	CPU      time.Duration // of the process, in user and system mode
	Children time.Duration // of its children that have ended
	RSS      int64         // resident bytes
	Threads  int
	Parent   int
	Name     string
}

// ticksPerSecond is the unit of times in /proc, the same on all architectures that Go runs on.
const ticksPerSecond = 100

// errStat: /proc has another form than expected.
var errStat = errors.New("unexpected form of /proc/PID/stat")

// UsageOf reads the usage of a process. It fails where there is no /proc.
func UsageOf(pid int) (Usage, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The name is in parentheses and may contain anything; numbered fields follow the last one.
	text := string(content)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return Usage{}, errStat
	}
	const first = 3 // the number of the first field after the name, see proc(5)
	fields := strings.Fields(text[end+1:])
	if len(fields) < 22 {
		return Usage{}, errStat
	}
	number := func(field int) int64 {
		n, err2 := strconv.ParseInt(fields[field-first], 10, 64)
		err = errors.Join(err, err2)
		return n
	}
	ticks := func(a, b int) time.Duration {
		return time.Duration(number(a)+number(b)) * time.Second / ticksPerSecond
	}
	u := Usage{
		CPU:      ticks(14, 15),
		Children: ticks(16, 17),
		RSS:      number(24) * int64(os.Getpagesize()),
		Threads:  int(number(20)),
		Parent:   int(number(4)),
		Name:     text[open+1 : end],
	}
	return u, err
}

// Usage reads what the relay takes.
func (r *Relay) Usage() (Usage, error) { return UsageOf(r.Pid()) }

// TreeCPU returns the processor time of a process, its living children, and those that have ended.
func TreeCPU(pid int) (time.Duration, error) {
	u, err := UsageOf(pid)
	if err != nil {
		return 0, err
	}
	total := u.CPU + u.Children
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range all {
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if u, err := UsageOf(child); err == nil && u.Parent == pid { // others may end meanwhile
			total += u.CPU
		}
	}
	return total, nil
}
