package web

import (
	_ "embed"
	"strings"
)

//go:embed countries.tsv
var countriesTable string

// countries maps the two letters of ISO 3166 to usual English names.
var countries = readCountries(countriesTable)

func readCountries(table string) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(table) {
		if code, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			all[code] = name
		}
	}
	return all
}

// country returns the name of a code in capitals or not, or nothing.
func country(code string) string { return countries[strings.ToUpper(code)] }
