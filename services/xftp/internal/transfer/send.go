package transfer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"

	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/description"
	"sotto/shared/file"
	"sotto/shared/wire"
)

// MaxRecipients bounds the recipients of one file: each chunk has an id and a key for each of them, which is the only
// part of a transfer that memory grows with.
const MaxRecipients = 1000

// Source is a file to send.
type Source struct {
	// Name is what recipients are told, at most 255 bytes of it.
	Name string
	// Size in bytes, which Reader must have exactly.
	Size   int64
	Reader io.Reader
}

// Sent is a file on relays: the description that deletes it, and those that receive it.
type Sent struct {
	Sender     *description.Description
	Recipients []*description.Description
}

// Send encrypts a file and uploads its chunks, spread over the relays, for a number of recipients. It reads the file
// once. If it fails, or ctx ends, it deletes from the relays what it had made there. Errors are [file.ErrTooLarge],
// [ErrRecipients], [ErrChanged], [*DiskError], [*RelayError] and ctx's.
//
// Spec: xftp.md 12.1
// Spec: xftp.md 12.3
func Send(ctx context.Context, src Source, relays []address.Server, recipients int, o Options) (*Sent, error) {
	header := file.Header{Name: ownName(src.Name)}
	if recipients < 1 || recipients > MaxRecipients {
		return nil, ErrRecipients
	}
	encoded, err := file.Encoded(header, src.Size)
	if err != nil {
		return nil, err
	}
	s := &sending{
		options: o.withDefaults(), recipients: recipients, sizes: file.ChunkSizes(encoded),
	}
	return s.send(ctx, src, header, relays)
}

// sending is one file on its way.
type sending struct {
	options    Options
	recipients int
	sizes      []uint32 // of all chunks

	pool   *pool
	relays *choice
	meter  *meter
	made   []*registered // by chunk; each is written by the one goroutine that has the chunk
}

// registered is a chunk that a relay knows of.
type registered struct {
	relay         *address.Server
	digest        [sha256.Size]byte
	sender        auth.Key
	senderID      wire.EntityID
	recipients    []auth.Key
	recipientsIDs []wire.EntityID
}

func (s *sending) send(ctx context.Context, src Source, header file.Header, relays []address.Server) (*Sent, error) {
	s.pool = newPool(s.options)
	defer s.pool.close()
	s.relays = newChoice(relays, s.options.LeftOut)
	s.made = make([]*registered, len(s.sizes))
	d := description.Description{ChunkSize: s.sizes[0]}
	for _, size := range s.sizes {
		d.Size += int64(size)
	}
	s.meter = newMeter(s.options.Progress, d.Size)
	_, _ = rand.Read(d.Key[:]) // never fails
	_, _ = rand.Read(d.Nonce[:])
	encrypter, err := file.NewEncrypter(localReader{src.Reader}, src.Size, header, d.Size, &d.Key, &d.Nonce)
	if err != nil {
		return nil, err
	}
	if err := s.upload(ctx, encrypter); err != nil {
		s.takeBack(ctx)
		return nil, err
	}
	d.Digest = encrypter.Digest()
	return s.describe(d), nil
}

// takeBack deletes what was made on the relays, as far as that is possible in a short time.
func (s *sending) takeBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	var all []target
	for _, c := range s.made {
		if c != nil {
			all = append(all, target{c.relay, c.senderID, c.sender})
		}
	}
	_, _ = remove(ctx, s.pool, all)
}

// describe makes the descriptions of a file that is on the relays.
//
// Spec: xftp.md 13.3
func (s *sending) describe(d description.Description) *Sent {
	sent := &Sent{Sender: s.party(d, description.Sender, func(c *registered) (wire.EntityID, auth.Key) {
		return c.senderID, c.sender
	})}
	for i := range s.recipients {
		r := s.party(d, description.Recipient, func(c *registered) (wire.EntityID, auth.Key) {
			return c.recipientsIDs[i], c.recipients[i]
		})
		sent.Recipients = append(sent.Recipients, r)
	}
	return sent
}

// party makes the description of one party, who has the ids and keys that credentials picks.
func (s *sending) party(
	d description.Description, party description.Party, credentials func(*registered) (wire.EntityID, auth.Key),
) *description.Description {
	d.Party = party
	for i, c := range s.made {
		id, k := credentials(c)
		d.Chunks = append(d.Chunks, description.Chunk{
			Size: s.sizes[i], Digest: c.digest,
			Replicas: []description.Replica{{Server: public(c.relay), ID: id, Key: k}},
		})
	}
	return &d
}
