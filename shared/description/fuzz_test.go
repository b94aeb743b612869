package description

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// checkDescription: what was parsed is written as a text that is parsed as the same, and each later time as that text.
func checkDescription(t *testing.T, d *Description) {
	t.Helper()
	text := d.Append(nil)
	if len(text) > MaxText {
		return // it was shorter in another form of YAML
	}
	again, err := Parse(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	second := again.Append(nil)
	third, err := Parse(second)
	if err != nil || !bytes.Equal(second, third.Append(nil)) || !reflect.DeepEqual(again, third) {
		t.Fatalf("does not settle: %v", err)
	}
	if len(again.Chunks) != len(d.Chunks) || again.Size != d.Size || again.Key != d.Key || again.Digest != d.Digest {
		t.Fatal("another description")
	}
	for i := range d.Chunks {
		if again.Chunks[i].Size != d.Chunks[i].Size || again.Chunks[i].Digest != d.Chunks[i].Digest ||
			len(again.Chunks[i].Replicas) != len(d.Chunks[i].Replicas) {
			t.Fatalf("another chunk %d", i+1)
		}
	}
}

func FuzzParse(f *testing.F) {
	v := loadDescriptions(f)
	for _, c := range v.Descriptions {
		if len(c.YAML) < 10_000 {
			f.Add([]byte(c.YAML))
		}
	}
	for _, c := range v.Decode {
		f.Add([]byte(c.YAML))
	}
	for _, c := range v.Errors {
		f.Add([]byte(c.YAML))
	}
	f.Add([]byte(fixture))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if err != nil {
			if d != nil || !errors.Is(err, ErrDescription) {
				t.Fatal(err)
			}
			return
		}
		checkDescription(t, d)
	})
}

func FuzzParseLink(f *testing.F) {
	v := loadLinks(f)
	for _, c := range v.Fragments {
		f.Add("https://example.org/#" + c.Fragment)
		for _, other := range c.Others {
			f.Add("https://example.org/#" + other)
		}
	}
	for _, c := range v.Errors {
		f.Add("https://example.org/#" + c.Fragment)
	}
	for _, c := range v.Links {
		f.Add(c.Link)
	}
	f.Add(AppLink(exampleDescription(f), "extra"))
	f.Add(AppLink(exampleDescription(f), ""))
	f.Fuzz(func(t *testing.T, link string) {
		d, extra, err := ParseLink(link)
		if err != nil {
			if d != nil || extra != "" || !errors.Is(err, ErrLink) {
				t.Fatal(err)
			}
			return
		}
		checkDescription(t, d)
		text := d.Append(nil)
		if len(text) > MaxText {
			return
		}
		again, gotExtra, err := ParseLink(AppLink(d, extra))
		if err != nil || gotExtra != extra || again.Size != d.Size {
			t.Fatalf("as a link for apps: %v", err)
		}
		web, err := WebLink(d, "https://example.org")
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := ParseLink(web); err != nil || again.Size != d.Size {
			t.Fatalf("as a link for browsers: %v", err)
		}
	})
}
