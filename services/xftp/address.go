package main

import "sotto/shared/run"

// advertised is where the relay of these settings is reached.
func (c *Config) advertised() (run.Advertised, error) {
	hosts, err := c.Hosts()
	if err != nil {
		return run.Advertised{}, err
	}
	if err := c.AddOnion(prefix, &hosts); err != nil {
		return run.Advertised{}, err
	}
	return run.Advertised{
		Server: hosts, Identity: c.identity(), Password: c.CreatePassword,
		Scan: "Network & servers > Your servers > Add server > Scan server QR code",
	}, nil
}

// loadAdvertised reads the settings for commands that need nothing else of them.
func loadAdvertised() (run.Advertised, error) {
	cfg, err := LoadConfig()
	if err != nil {
		return run.Advertised{}, err
	}
	return cfg.advertised()
}
