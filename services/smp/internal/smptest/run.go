package smptest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/server"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// patience is how long a client waits for what it expects. In a bubble it takes no time.
const patience = 20 * time.Second

// talk is one run of a conversation.
type talk struct {
	t       testing.TB
	relay   *Relay
	version wire.Version
	alg     key.Algorithm
	bubble  bool
	clients map[string]*speaker
	queues  map[string]*queueState
	keys    map[string]auth.Key
	nonces  map[[24]byte]bool // of notifications
	service []byte            // id of the service that the speaker at hand is
	certs   map[string]*client.Service
}

// speaker is a client, with the commands that it awaits answers to.
type speaker struct {
	name    string
	conn    *client.Conn
	arrived chan arrival
	asked   []asked
}

// arrival is a block, or the end of the connection.
type arrival struct {
	block []wire.Transmission
	err   error
}

// maxArrived is how many blocks wait for the lines that expect them.
const maxArrived = 1024

// listen takes blocks as they arrive, until the connection ends.
func (sp *speaker) listen() {
	for {
		block, err := sp.conn.Receive()
		sp.arrived <- arrival{block, err}
		if err != nil {
			return
		}
	}
}

// asked is a command on its way.
type asked struct {
	tag    string
	corrID []byte
	entity []byte
	queue  *queueState

	notifier *notifierState
}

// Run runs a conversation with a relay that is started for it. With bubble set it runs over pipes in a bubble of
// testing/synctest, where silence is certain and time passes at will; otherwise over sockets.
func (c *Conversation) Run(t *testing.T, v wire.Version, alg key.Algorithm, bubble bool, open func(testing.TB, int) server.Store) {
	run := func(t *testing.T) {
		o, err := c.options()
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		o.Pipes = bubble
		if open != nil {
			o.Store = open(t, o.Quota)
		}
		k := &talk{
			t: t, relay: Start(t, o), version: v, alg: alg, bubble: bubble,
			clients: make(map[string]*speaker), queues: make(map[string]*queueState), keys: make(map[string]auth.Key),
			nonces: make(map[[24]byte]bool), certs: make(map[string]*client.Service),
		}
		k.play(c)
	}
	if bubble {
		synctest.Test(t, run)
	} else {
		run(t)
	}
}

// options are the relay's: quota, password, new-queues=off, end-interval, ttl, expire-on-send, expiry-interval,
// inactive-ttl, inactive-interval, expire-on-start, notification-ttl.
func (c *Conversation) options() (o Options, err error) {
	a := c.settings
	if o.Quota, err = a.number("quota", DefaultQuota); err != nil {
		return o, err
	}
	times := make(map[string]time.Duration)
	for _, name := range []string{"end-interval", "ttl", "expiry-interval", "inactive-ttl", "inactive-interval", "notification-ttl"} {
		if text, ok := a.options[name]; ok {
			if times[name], err = time.ParseDuration(text); err != nil {
				return o, err
			}
		}
	}
	o.Config = func(cfg *server.Config) {
		for name, to := range map[string]*time.Duration{
			"end-interval": &cfg.EndInterval, "ttl": &cfg.MessageTTL, "expiry-interval": &cfg.ExpiryInterval,
			"inactive-ttl": &cfg.InactiveTTL, "inactive-interval": &cfg.InactiveInterval,
			"notification-ttl": &cfg.NotificationTTL,
		} {
			if d, ok := times[name]; ok {
				*to = d
			}
		}
		cfg.CreatePassword = []byte(a.options["password"])
		cfg.NewQueues = a.options["new-queues"] != "off"
		cfg.ExpireOnSend, cfg.ExpireOnStart = a.flag(0, "expire-on-send"), a.flag(0, "expire-on-start")
	}
	return o, a.only("quota", "password", "new-queues", "end-interval", "ttl", "expiry-interval", "inactive-ttl", "inactive-interval",
		"notification-ttl")
}

// play does the steps, then checks that nothing is left unread.
func (k *talk) play(c *Conversation) {
	k.t.Helper()
	for i := range c.steps {
		s := &c.steps[i]
		if !s.when.has(k.version) {
			continue
		}
		if err := k.do(s); err != nil {
			k.t.Fatalf("%s:%d: %s\n%v", c.Name, s.line, s.text, err)
		}
	}
	for _, sp := range k.clients {
		if err := k.silent(sp); err != nil {
			k.t.Fatalf("%s: at the end, %s: %v", c.Name, sp.name, err)
		}
		_ = sp.conn.Close()
	}
}

func (k *talk) do(s *step) error {
	if s.does == waits {
		d, _ := time.ParseDuration(s.args.word(0))
		k.wait(d)
		return nil
	}
	if s.does == restarts {
		k.relay.Restart(k.t)
		clear(k.clients)
		return nil
	}
	if s.does == moderates {
		return k.moderate(s.args)
	}
	if s.does == connects {
		return k.connect(s.who, s.args)
	}
	sp := k.clients[s.who]
	if sp == nil {
		if err := k.connect(s.who, args{}); err != nil {
			return err
		}
		sp = k.clients[s.who]
	}
	switch s.does {
	case sends:
		return k.send(sp, k.chosen(s.items))
	case receives:
		return k.receive(sp, k.chosen(s.items))
	case receivesAll:
		return k.receiveAll(sp, k.chosen(s.items))
	case hearsNothing:
		return k.silent(sp)
	case leaves:
		delete(k.clients, s.who)
		return k.leave(sp)
	default:
		delete(k.clients, s.who)
		return k.closed(sp)
	}
}

// chosen returns the parts of a block that this version has.
func (k *talk) chosen(items []item) []item {
	var mine []item
	for _, i := range items {
		if i.when.has(k.version) {
			mine = append(mine, i)
		}
	}
	return mine
}

// wait lets time pass, and everything happen that is due by then.
func (k *talk) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (k *talk) connect(name string, a args) error {
	v, err := a.number("version", int(k.version))
	if err != nil {
		return err
	}
	o := At(wire.Version(v))
	o.NoKey, o.ProxyServer = a.flag(0, "nokey"), a.flag(0, "proxy")
	if a.options["alpn"] == "none" {
		o.ALPN = []string{}
	}
	conn, err := k.dial(a, o)
	if conn == nil || err != nil {
		return err
	}
	k.t.Cleanup(func() { _ = conn.Close() })
	sp := &speaker{name: name, conn: conn, arrived: make(chan arrival, maxArrived)}
	k.clients[name] = sp
	go sp.listen()
	return a.only("version", "alpn", "service", "cert", "shown", "length", "refused")
}

// leave closes a connection and waits until the relay has noticed.
func (k *talk) leave(sp *speaker) error {
	before := k.relay.Server.Connections()
	if err := sp.conn.Close(); err != nil {
		return err
	}
	if k.bubble {
		synctest.Wait()
		return nil
	}
	return Eventually(func() bool { return k.relay.Server.Connections() < before })
}

// Eventually polls until done returns true, for a while.
func Eventually(done func() bool) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !done() {
		select {
		case <-deadline.C:
			return errors.New("it did not happen")
		case <-poll.C:
		}
	}
	return nil
}

// closed expects that the relay closes the connection without another block.
func (k *talk) closed(sp *speaker) error {
	block, err := sp.next()
	if err == nil {
		return fmt.Errorf("a block arrived: %s", k.describe(block))
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("not closed: %s", transport.Safe(err))
	}
	return sp.conn.Close()
}

// next returns the transmissions of the next block.
func (sp *speaker) next() ([]wire.Transmission, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case a := <-sp.arrived:
		return a.block, a.err
	case <-late.C:
		return nil, os.ErrDeadlineExceeded
	}
}

// silent checks that nothing more arrives: in a bubble nothing can, once all goroutines wait; over sockets, nothing
// that was on its way arrives before the answer to PING.
func (k *talk) silent(sp *speaker) error {
	if len(sp.asked) > 0 {
		return fmt.Errorf("%s is not answered", sp.asked[0].tag)
	}
	if !k.bubble {
		ping, _ := parseArgs("PING")
		pong, _ := parseArgs("PONG")
		if err := k.send(sp, []item{{args: ping}}); err != nil {
			return err
		}
		return k.receive(sp, []item{{text: "PONG, the next to arrive", args: pong}})
	}
	synctest.Wait()
	select {
	case a := <-sp.arrived:
		if a.err != nil {
			return fmt.Errorf("connection ended: %s", transport.Safe(a.err))
		}
		return fmt.Errorf("more arrived: %s", k.describe(a.block))
	default:
		return nil
	}
}

// queue returns the queue of this name, made up if it is new.
func (k *talk) queue(name string) *queueState {
	q := k.queues[name]
	if q == nil {
		q = &queueState{name: name, messages: make(map[string]smp.MSG), notified: make(map[string][]byte)}
		k.queues[name] = q
	}
	return q
}

// key returns the key of this name, made up if it is new. "ed448:name" makes one of another algorithm.
func (k *talk) key(name string) (auth.Key, error) {
	made, ok := k.keys[name]
	if ok {
		return made, nil
	}
	alg := k.alg
	for prefix, a := range algorithms {
		if len(name) > len(prefix) && name[:len(prefix)+1] == prefix+":" {
			alg = a
		}
	}
	switch alg {
	case key.Ed25519:
		made = auth.NewEd25519()
	case key.Ed448:
		made = auth.NewEd448()
	case key.X25519:
		made = auth.NewX25519()
	default:
		return made, fmt.Errorf("no keys of algorithm %s", strconv.Itoa(int(alg)))
	}
	k.keys[name] = made
	return made, nil
}
