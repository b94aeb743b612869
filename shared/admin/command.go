package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sotto/shared/settings"
	"sotto/shared/terminal"
)

// Command is the command "admin" of a relay's program.
type Command struct {
	// Program is the name of the program, Object that of what its commands change: queue, file.
	Program, Object string
	// Kinds are the kinds of ids, of which an operator may say which is meant.
	Kinds []string
	// Usage is printed for help.
	Usage string
	// Socket tells where the relay listens, when a command needs to know.
	Socket func() (string, error)
	// Find reads the ids of objects, one at least, from what the operator has typed or pasted.
	Find func(text string) ([]Subject, error)
	// Status, Stats and About show answers to a person.
	Status, Stats, About func(answer json.RawMessage) ([]Section, error)
	// Said tells what was done, by the action.
	Said map[string]string

	// Stdin is where a link and a confirmation are read from, Stdout what is printed, Stderr what is told meanwhile.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Subject is what the operator wants to change.
type Subject struct {
	ID   string // base64url
	Kind string // of ids; empty: any
	// Host is the relay that a link names; empty: it is no link.
	Host string
}

// maxInput is what is read of a link from standard input: more than apps make.
const maxInput = 16 << 10

// Run does the command with these arguments.
func (c Command) Run(ctx context.Context, args []string) error {
	line, err := parse(c.Object, c.Kinds, args)
	if err != nil {
		return err
	}
	if line.help || len(line.words) == 0 || line.words[0] == "help" {
		_, err := io.WriteString(c.Stdout, c.Usage)
		return err
	}
	switch name := line.words[0]; name {
	case "status", "stats":
		if err := line.only(c.Program, 1); err != nil {
			return err
		}
		show := c.Status
		if name == "stats" {
			show = c.Stats
		}
		return c.show(ctx, line, name, show)
	case c.Object:
		return c.change(ctx, line)
	default:
		return settings.Bad("admin has no command %q; see %s admin help", name, c.Program)
	}
}

// change is a command for one object.
func (c Command) change(ctx context.Context, line line) error {
	action := "status"
	switch len(line.words) {
	case 1:
		return settings.Bad("say which %s, by its id or a link; see %s admin help", c.Object, c.Program)
	case 2:
	default:
		action = line.words[2]
	}
	if _, known := c.Said[action]; !known && action != "status" {
		return settings.Bad("admin %s has no action %q; see %s admin help", c.Object, action, c.Program)
	}
	if err := line.allowed(action, c.Program); err != nil {
		return err
	}
	stdin := bufio.NewReader(io.LimitReader(c.Stdin, maxInput))
	subjects, err := c.subjects(line.words[1], stdin)
	if err != nil {
		return err
	}
	if action == "delete" && !line.yes {
		if err := c.confirm(stdin); err != nil {
			return err
		}
	}
	path, err := c.Socket()
	if err != nil {
		return err
	}
	if len(subjects) == 1 {
		return c.one(ctx, path, line, action, subjects[0])
	}
	return c.each(ctx, path, line, action, subjects)
}

// one does an action to one object.
func (c Command) one(ctx context.Context, path string, line line, action string, subject Subject) error {
	answer, err := c.await(ctx, path, c.Object+"/"+action, line.change(subject))
	if errors.Is(err, ErrNotFound) {
		return c.notFound(subject)
	}
	if err != nil {
		return err
	}
	return c.print(line, answer, func(answer json.RawMessage) ([]Section, error) {
		if action == "status" {
			return c.About(answer)
		}
		return []Section{{Title: c.Said[action]}}, nil
	})
}

// subjects reads the id from an argument, or from standard input if that is "-": there it is seen by nobody who looks at the
// list of processes or at the shell's history.
func (c Command) subjects(text string, stdin *bufio.Reader) ([]Subject, error) {
	if text == "-" {
		if c.asks() {
			fmt.Fprintf(c.Stderr, "Paste the id or the link of the %s: ", c.Object)
		}
		pasted, err := stdin.ReadString('\n')
		if err != nil && pasted == "" {
			return nil, settings.Bad("there is no id and no link on the standard input")
		}
		text = pasted
	}
	return c.Find(strings.TrimSpace(text))
}

// notFound tells that there is no such object, and what may be the reason.
func (c Command) notFound(subject Subject) error {
	if subject.Host != "" {
		return fmt.Errorf("the relay has no such %s; the link is one of %s", c.Object, printable(subject.Host))
	}
	return fmt.Errorf("the relay has no such %s", c.Object)
}

// asks reports whether a person can be asked.
func (c Command) asks() bool {
	f, ok := c.Stdin.(*os.File)
	return ok && terminal.Is(f)
}

var errCannotAsk = settings.Bad("delete cannot ask here whether you are sure: say --yes")

// confirm asks the person whether to delete.
func (c Command) confirm(stdin *bufio.Reader) error {
	if !c.asks() {
		return errCannotAsk
	}
	fmt.Fprintf(c.Stderr, "Delete this %s, with all that is in it, for ever? [y/N] ", c.Object)
	answer, err := stdin.ReadString('\n')
	if err != nil && answer == "" { // it is the device null
		return errCannotAsk
	}
	if !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))) {
		return errors.New("nothing was deleted")
	}
	return nil
}

// show has the relay do a command, and prints its answer.
func (c Command) show(ctx context.Context, line line, command string, text func(json.RawMessage) ([]Section, error)) error {
	path, err := c.Socket()
	if err != nil {
		return err
	}
	answer, err := c.await(ctx, path, command, nil)
	if err != nil {
		return err
	}
	return c.print(line, answer, text)
}

// print shows an answer to a person, or as JSON.
func (c Command) print(line line, answer json.RawMessage, text func(json.RawMessage) ([]Section, error)) error {
	if line.json {
		return printJSON(c.Stdout, answer)
	}
	sections, err := text(answer)
	if err != nil {
		return errAnswer
	}
	return Print(c.Stdout, sections)
}

// patience is after how long a person is told that the relay still works.
const patience = time.Second

// await calls the relay, and tells a person who waits for how long that has been.
func (c Command) await(ctx context.Context, path, command string, in any) (json.RawMessage, error) {
	if !terminal.Is(c.Stderr) {
		return Call(ctx, path, command, in)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(patience)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				fmt.Fprintf(c.Stderr, "\rthe relay works on it, for %d s now ", n)
			}
		}
	}()
	began := time.Now()
	answer, err := Call(ctx, path, command, in)
	close(stop)
	<-stopped
	if time.Since(began) >= patience {
		fmt.Fprint(c.Stderr, "\r\x1b[K")
	}
	return answer, err
}

var errAnswer = errors.New("the relay's answer cannot be read: are the command and the relay of the same version?")

func printJSON(w io.Writer, answer json.RawMessage) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(answer)
}

// seconds reads a time to live: as Go writes it, or in days.
func seconds(text string) (int64, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		return n * int64(24*time.Hour/time.Second), err == nil && n > 0
	}
	d, err := time.ParseDuration(text)
	return int64(d / time.Second), err == nil && d >= time.Second
}

// Main is the command of a program whose standard input is the process's.
func (c Command) Main(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, stdout, stderr
	return c.Run(ctx, args)
}
