package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"path"

	"sotto/shared/address"
)

//go:embed assets
var assetFiles embed.FS

//go:embed templates
var templateFiles embed.FS

// Media types of what is served. The table of the machine, which package mime reads, may lack them.
const (
	typeHTML = "text/html; charset=utf-8"
	typeText = "text/plain; charset=utf-8"
	typeJSON = "application/json"
	typeSVG  = "image/svg+xml"
)

var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".svg": typeSVG,
}

// asset is one of the files that pages refer to.
type asset struct {
	name    string
	content []byte
}

// assets are read once; assetsPath has the hash of all of them, so that they may refer to each other by name.
var assets, assetsPath = readAssets()

// readAssets cannot fail: the files are part of the program.
func readAssets() (all []asset, prefix string) {
	sum := sha256.New()
	names, _ := fs.Glob(assetFiles, "assets/*")
	for _, name := range names {
		content, _ := assetFiles.ReadFile(name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
		all = append(all, asset{path.Base(name), content})
	}
	return all, "/assets/" + hex.EncodeToString(sum.Sum(nil)[:tagSize]) + "/"
}

// builder collects pages, and the first error.
type builder struct {
	site   Site
	server address.Server
	pages  map[string]*page
	err    error
}

func (b *builder) addAssets() {
	for _, a := range assets {
		b.pages[assetsPath+a.name] = newPage(mediaTypes[path.Ext(a.name)], cacheForever, a.content)
	}
}

func (b *builder) addInformation() {
	code, err := drawQR(b.site.Address)
	b.note(err)
	p := b.render("information", b.site.information(b.server, code))
	if b.site.Kind == Files {
		b.pages[FilesPath], b.pages[FilesPath+"/"] = p, p
	}
	if !b.site.Shared {
		b.pages["/"] = p
	}
}

func (b *builder) addLinks() {
	for _, l := range links {
		p := b.render("link", linkView{
			frame: frame{Title: l.title + " on SimpleX Chat", Description: l.about, Assets: assetsPath, Script: "link.mjs"},
			Path:  l.path, Heading: l.title, About: l.about, Host: b.host(),
		})
		b.pages["/"+l.path], b.pages["/"+l.path+"/"] = p, p
	}
}

func (b *builder) addAppFiles() {
	apple, err := appleAssociation()
	b.note(err)
	android, err := assetLinks()
	b.note(err)
	b.pages["/.well-known/apple-app-site-association"] = newPage(typeJSON, cacheShort, apple)
	b.pages["/.well-known/assetlinks.json"] = newPage(typeJSON, cacheShort, android)
}

// addSiteFiles adds what browsers and crawlers ask any host name for.
func (b *builder) addSiteFiles() {
	b.pages["/robots.txt"] = newPage(typeText, cacheShort, []byte(robots))
	icon, err := assetFiles.ReadFile("assets/icon.svg")
	b.note(err)
	b.pages["/favicon.ico"] = newPage(typeSVG, cacheShort, icon)
}

func (b *builder) missing() *page {
	p := b.render("missing", frame{
		Title: "Nothing here", Description: "There is no such page on this site.", Assets: assetsPath,
	})
	p.cache = cacheNever
	return p
}

// render makes a page of a template and the layout around it.
func (b *builder) render(name string, view any) *page {
	t, err := template.ParseFS(templateFiles, "templates/layout.html", "templates/"+name+".html")
	b.note(err)
	var out bytes.Buffer
	if err == nil {
		b.note(t.ExecuteTemplate(&out, "layout.html", view))
	}
	return newPage(typeHTML, cacheShort, out.Bytes())
}

func (b *builder) note(err error) {
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("pages: %w", err)
	}
}

// host is the name of the relay for people.
func (b *builder) host() string { return string(b.server.Hosts[0]) }
