package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// count is how many messages there are, so many that they are not all in one block, or one page of the database.
const count = 12

// seedSize is that of an Ed25519 key.
const seedSize = 32

// kept is what the file holds: the queue as its recipient knows it, and what is in it.
type kept struct {
	Address               string
	RecipientID, SenderID []byte
	Seed                  []byte // of the recipient's key
	Secret                [box.KeySize]byte
	Messages              [][]byte
}

// dial connects to the relay at an address.
func dial(ctx context.Context, address string) (*client.Client, error) {
	server, err := smp.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	return client.Dial(ctx, server, client.Options{})
}

// send fills a queue and writes the file.
func send(ctx context.Context, address, file string) error {
	c, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close()
	k := kept{Address: address, Seed: make([]byte, seedSize)}
	_, _ = rand.Read(k.Seed) // never fails
	secret, err := auth.NewKey(key.Ed25519, k.Seed)
	if err != nil {
		return err
	}
	q, err := c.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, Key: secret})
	if err != nil {
		return fmt.Errorf("create a queue: %w", err)
	}
	k.RecipientID, k.SenderID, k.Secret = q.RecipientID, q.SenderID, q.Secret
	for range count {
		body := make([]byte, smp.MaxBody(c.Version()))
		_, _ = rand.Read(body) // never fails
		if err := c.Send(ctx, q.SenderID, auth.Key{}, false, body); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		k.Messages = append(k.Messages, body)
	}
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// receive empties the queue of the file, and deletes it.
func receive(ctx context.Context, file string) error {
	var k kept
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return err
	}
	secret, err := auth.NewKey(key.Ed25519, k.Seed)
	if err != nil {
		return err
	}
	c, err := dial(ctx, k.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	q := &client.Queue{
		RecipientID: wire.EntityID(k.RecipientID), SenderID: wire.EntityID(k.SenderID), Key: secret, Secret: k.Secret,
	}
	if err := check(ctx, c, q, k.Messages); err != nil {
		return err
	}
	return c.Delete(ctx, q)
}

// check takes one message after the other, and wants to find exactly these.
func check(ctx context.Context, c *client.Client, q *client.Queue, want [][]byte) error {
	for i, body := range want {
		m, err := c.Get(ctx, q)
		switch {
		case err != nil:
			return fmt.Errorf("receive message %d: %w", i+1, err)
		case m == nil:
			return fmt.Errorf("%d of %d messages are lost", len(want)-i, len(want))
		case m.Quota || !bytes.Equal(m.Body, body):
			return fmt.Errorf("message %d is another one than was sent", i+1)
		}
		if _, err := c.Acknowledge(ctx, q, m.ID); err != nil {
			return fmt.Errorf("acknowledge message %d: %w", i+1, err)
		}
	}
	m, err := c.Get(ctx, q)
	if err == nil && m != nil {
		err = errors.New("there is a message that was not sent, or was acknowledged")
	}
	return err
}
