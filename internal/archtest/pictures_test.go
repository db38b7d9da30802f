package archtest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Pictures are drawings and text, and nothing else: they run nothing, fetch
// nothing, and say in words what they show.
func TestPictures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(moduleRoot(t), "docs", "*.svg"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d pictures: %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range pictureProblems(data) {
			t.Errorf("%s: %s", filepath.Base(file), problem)
		}
	}
}

func pictureProblems(data []byte) []string {
	var problems []string
	names := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return append(problems, err.Error())
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		names[e.Name.Local]++
		for _, a := range e.Attr {
			name := strings.ToLower(a.Name.Local)
			if strings.HasPrefix(name, "on") || strings.Contains(name, "href") && !strings.HasPrefix(a.Value, "#") {
				problems = append(problems, "the attribute "+name)
			}
			if e.Name.Local == "svg" && (name == "viewbox" || name == "width") {
				names["size"]++
			}
		}
	}
	for _, name := range []string{"script", "foreignObject", "image", "iframe", "animate", "set"} {
		if names[name] > 0 {
			problems = append(problems, "the element "+name)
		}
	}
	for _, name := range []string{"size", "text", "rect"} {
		if names[name] == 0 {
			problems = append(problems, "no "+name)
		}
	}
	if regexp.MustCompile(`@import|@font-face|url\((["']?)[^#"')]`).Match(data) {
		problems = append(problems, "a style that fetches something")
	}
	return problems
}

func TestPictureProblems(t *testing.T) {
	const good = `<svg viewBox="0 0 1 1"><rect/><text>x</text><use href="#a"/><path style="marker-end: url(#a)"/></svg>`
	for text, want := range map[string]string{
		good: "",
		strings.Replace(good, "<rect/>", "<rect onclick='x'/>", 1):                    "the attribute onclick",
		strings.Replace(good, "#a", "https://example.com/a.svg", 1):                   "the attribute href",
		strings.Replace(good, "<rect/>", "<rect/><script/>", 1):                       "the element script",
		strings.Replace(good, "url(#a)", "url(//example.com/a)", 1):                   "a style that fetches something",
		strings.Replace(good, "<rect/>", "", 1):                                       "no rect",
		strings.Replace(good, "<rect/>", "<style>@import 'x'</style><rect/>", 1):      "a style that fetches something",
		strings.Replace(good, "</text>", "", 1):                                       "XML syntax error on line 1: element <text> closed by </svg>",
		strings.Replace(good, ` viewBox="0 0 1 1"`, "", 1):                            "no size",
		strings.Replace(good, "<text>x</text>", "<image href='data:x'/><text/>", 1):   "the attribute href",
		strings.Replace(good, "<text>x</text>", "<foreignObject></foreignObject>", 1): "the element foreignObject",
	} {
		got := pictureProblems([]byte(text))
		if want == "" && len(got) > 0 || want != "" && !slices.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
