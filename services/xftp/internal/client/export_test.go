package client

import "sotto/shared/xftp"

// CheckHello checks a hello as it is done in a handshake.
func CheckHello(c *Conn, content []byte, web bool) error {
	var challenge []byte
	if web {
		challenge = make([]byte, xftp.ChallengeSize)
	}
	_, err := c.parseHello(content, challenge)
	return err
}
