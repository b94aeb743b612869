package settings

// Admin is what both relays can be told about the commands with which their operator talks to them. It is a part of their
// settings.
type Admin struct {
	// AdminSocket: the Unix socket for the command admin, in a directory that only the relay's user may enter. Empty: in the
	// directory admin of the data directory. off: there is none.
	AdminSocket string `envconfig:"ADMIN_SOCKET"`
}
