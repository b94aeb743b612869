package description

import (
	"encoding/base64"
	"slices"
	"strconv"

	"sotto/shared/address"
)

// Append appends the text of the description, as upstream writes it byte for byte: the browser's reader takes this layout
// only. Replicas are grouped by relay, in the order of the addresses' text. The description must be one that [Parse] could
// have returned.
//
// Spec: xftp.md 13.1
func (d *Description) Append(dst []byte) []byte {
	dst = appendSize(append(dst, "chunkSize: "...), int64(d.ChunkSize))
	dst = appendBase64(append(dst, "\ndigest: "...), d.Digest[:])
	dst = appendBase64(append(dst, "\nkey: "...), d.Key[:])
	dst = appendBase64(append(dst, "\nnonce: "...), d.Nonce[:])
	dst = append(append(dst, "\nparty: "...), d.Party.String()...)
	if d.Redirect != nil {
		dst = appendBase64(append(dst, "\nredirect:\n  digest: "...), d.Redirect.Digest[:])
		dst = strconv.AppendInt(append(dst, "\n  size: "...), d.Redirect.Size, 10)
	}
	dst = d.appendReplicas(append(dst, "\nreplicas:\n"...))
	return append(appendSize(append(dst, "size: "...), d.Size), '\n')
}

// appendReplicas appends a list item for each relay.
//
// Spec: xftp.md 13.3
func (d *Description) appendReplicas(dst []byte) []byte {
	groups := map[string][]byte{}
	for i := range d.Chunks {
		for j := range d.Chunks[i].Replicas {
			server := serverText(d.Chunks[i].Replicas[j].Server)
			groups[server] = d.appendReplica(groups[server], i, j)
		}
	}
	servers := make([]string, 0, len(groups))
	for server := range groups {
		servers = append(servers, server)
	}
	slices.Sort(servers)
	for _, server := range servers {
		dst = append(append(dst, "- chunks:\n"...), groups[server]...)
		dst = append(append(append(dst, "  server: "...), server...), '\n')
	}
	return dst
}

// appendReplica appends the line of one replica. The first of a chunk tells its digest, and its size if that is not the
// default.
func (d *Description) appendReplica(dst []byte, chunk, replica int) []byte {
	c := &d.Chunks[chunk]
	r := &c.Replicas[replica]
	dst = strconv.AppendInt(append(dst, "  - "...), int64(chunk)+1, 10)
	dst = appendBase64(append(dst, ':'), r.ID)
	dst = appendBase64(append(dst, ':'), r.Key.AppendPKCS8(nil))
	if replica == 0 {
		dst = appendBase64(append(dst, ':'), c.Digest[:])
		if c.Size != d.ChunkSize {
			dst = appendSize(append(dst, ':'), int64(c.Size))
		}
	}
	return append(dst, '\n')
}

// serverText returns the address without a password. An IPv6 address in front of a port or another host gets brackets,
// without which it would not be read again.
//
// Spec: xftp.md 2.3
func serverText(s address.Server) string {
	s.Password = nil
	if s.Port != "" && len(s.Hosts) > 0 {
		s.Hosts = slices.Clone(s.Hosts)
		last := &s.Hosts[len(s.Hosts)-1]
		*last = address.Host(urlHost(*last))
	}
	return s.String()
}

// urlHost returns the host as it is written in front of a port.
func urlHost(h address.Host) string {
	if h.Kind() == address.IPv6 {
		return "[" + string(h) + "]"
	}
	return string(h)
}

// appendBase64 appends the padded form.
//
// Spec: xftp.md 1.3
func appendBase64(dst, b []byte) []byte { return base64.URLEncoding.AppendEncode(dst, b) }
