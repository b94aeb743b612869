// Package settings reads the settings of a program from environment variables, and finds mistakes in them before they
// do harm. Every mistake is an [Error], which names the variable.
package settings

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// Error is a mistake in the settings or on the command line: a sentence for the operator, who can mend it.
type Error struct{ text string }

// Error returns the sentence.
func (e Error) Error() string { return e.text }

// Bad makes an [Error].
func Bad(format string, args ...any) error { return Error{fmt.Sprintf(format, args...)} }

// fileSuffix is that of the name of a setting which holds the name of a file with the value.
const fileSuffix = "_FILE"

// Load fills the struct that config points to from the variables PREFIX_NAME, with NAME from the field's tag envconfig
// and the default from its tag default, also in structs that are embedded. A variable with an empty value is as good as none, which Compose files need;
// one that no field reads is a mistake. A field NAME_FILE, of type string, is the name of a file whose content, without
// the white space around it, becomes the value of the field NAME.
func Load(prefix string, config any) error {
	names := Names(prefix, config)
	for _, name := range names {
		if os.Getenv(name) == "" {
			_ = os.Unsetenv(name)
		}
	}
	if err := unknown(prefix, names); err != nil {
		return err
	}
	if err := envconfig.Process(prefix, config); err != nil {
		var parse *envconfig.ParseError
		if errors.As(err, &parse) { // without the value, which may be a secret in the wrong place
			if reason, ok := parse.Err.(Error); ok {
				return Bad("%s %v; see .env.example", parse.KeyName, reason)
			}
			return Bad("%s has a value that is not a valid %s; see .env.example", parse.KeyName, parse.TypeName)
		}
		return Error{err.Error()}
	}
	return readFiles(prefix, config)
}

// Fields lists the fields of the struct that config points to, and of those that are embedded in it, in their order.
func Fields(config any) []reflect.StructField {
	var fields []reflect.StructField
	for _, field := range reflect.VisibleFields(reflect.TypeOf(config).Elem()) {
		if !field.Anonymous {
			fields = append(fields, field)
		}
	}
	return fields
}

// Names lists the variables of all fields, in their order.
func Names(prefix string, config any) []string {
	var names []string
	for _, field := range Fields(config) {
		names = append(names, prefix+"_"+field.Tag.Get("envconfig"))
	}
	return names
}

// unknown names the variables that no field reads.
func unknown(prefix string, names []string) error {
	known := make(map[string]bool)
	for _, name := range names {
		known[name] = true
	}
	var unknown []string
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, prefix+"_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return Bad("unknown setting %s: check its spelling against .env.example, or unset it", strings.Join(unknown, ", "))
}

// readFiles takes values from the files that the fields NAME_FILE name.
func readFiles(prefix string, config any) error {
	values := make(map[string]reflect.Value)
	for _, field := range Fields(config) {
		values[field.Tag.Get("envconfig")] = reflect.ValueOf(config).Elem().FieldByIndex(field.Index)
	}
	for name, file := range values {
		base, ok := strings.CutSuffix(name, fileSuffix)
		value, has := values[base]
		if !ok || !has || file.String() == "" {
			continue
		}
		full := prefix + "_" + base
		if value.String() != "" {
			return Bad("%s and %s%s are both set: unset one of them", full, full, fileSuffix)
		}
		content, err := os.ReadFile(file.String())
		if err != nil {
			return Bad("%s%s cannot be read: %v", full, fileSuffix, err)
		}
		text := strings.TrimSpace(string(content))
		if text == "" {
			return Bad("%s%s names a file that is empty", full, fileSuffix)
		}
		value.SetString(text)
	}
	return nil
}
