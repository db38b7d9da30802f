package job

import (
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// picture is docs/states.svg, as far as it says something of jobs.
type picture struct {
	boxes  map[string]box   // by status
	arrows map[string][]int // by from-to: x and y of its start and its end
}

type box struct{ x, y, width, height int }

type shape struct {
	Class string  `xml:"class,attr"`
	ID    string  `xml:"id,attr"`
	D     string  `xml:"d,attr"`
	Text  string  `xml:"text"`
	Rect  rectTag `xml:"rect"`
}

type rectTag struct {
	X      int `xml:"x,attr"`
	Y      int `xml:"y,attr"`
	Width  int `xml:"width,attr"`
	Height int `xml:"height,attr"`
}

func states(t *testing.T) picture {
	t.Helper()
	data, err := os.ReadFile("../../docs/states.svg")
	if err != nil {
		t.Fatal(err)
	}
	var svg struct {
		Groups []shape `xml:"g"`
		Paths  []shape `xml:"path"`
	}
	if err := xml.Unmarshal(data, &svg); err != nil {
		t.Fatal(err)
	}
	p := picture{map[string]box{}, map[string][]int{}}
	for _, g := range svg.Groups {
		if strings.HasPrefix(g.Class, "state ") {
			if g.Text != g.ID || p.boxes[g.ID] != (box{}) {
				t.Errorf("the state %s is there twice, or says %q", g.ID, g.Text)
			}
			p.boxes[g.ID] = box{g.Rect.X, g.Rect.Y, g.Rect.Width, g.Rect.Height}
		}
	}
	for _, a := range svg.Paths {
		if a.Class == "transition" && a.ID != "submitted" {
			if p.arrows[a.ID] != nil {
				t.Errorf("the transition %s is there twice", a.ID)
			}
			p.arrows[a.ID] = ends(t, a)
		}
	}
	return p
}

// ends are the points where a path starts and stops; it has M, C, H and V.
func ends(t *testing.T, a shape) []int {
	t.Helper()
	var x, y, startX, startY int
	for i, m := range regexp.MustCompile(`([MCHV])([-0-9 ]+)`).FindAllStringSubmatch(a.D, -1) {
		var n []int
		for text := range strings.FieldsSeq(m[2]) {
			v, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			n = append(n, v)
		}
		switch m[1] {
		case "H":
			x = n[0]
		case "V":
			y = n[0]
		default:
			x, y = n[len(n)-2], n[len(n)-1]
		}
		if i == 0 {
			startX, startY = x, y
		}
	}
	return []int{startX, startY, x, y}
}

// on reports a point on the border of a box.
func (b box) on(x, y int) bool {
	sides := (x == b.x || x == b.x+b.width) && y > b.y && y < b.y+b.height
	return sides || (y == b.y || y == b.y+b.height) && x > b.x && x < b.x+b.width
}

// The picture has every status and every transition and no other, and arrows lead
// from the one box to the other.
func TestStatesPicture(t *testing.T) {
	p := states(t)
	want := map[string]bool{}
	for _, from := range statuses {
		if p.boxes[string(from)] == (box{}) {
			t.Errorf("%s is not in the picture", from)
		}
		for _, to := range statuses {
			if from.CanBecome(to) {
				want[fmt.Sprintf("%s-%s", from, to)] = true
			}
		}
	}
	if len(p.boxes) != len(statuses) {
		t.Errorf("the states are %v", slices.Sorted(maps.Keys(p.boxes)))
	}
	for name := range want {
		if p.arrows[name] == nil {
			t.Errorf("the transition %s is not in the picture", name)
		}
	}
	for name, at := range p.arrows {
		from, to, _ := strings.Cut(name, "-")
		if !want[name] {
			t.Errorf("the picture has %s, which is no transition", name)
		} else if !p.boxes[from].on(at[0], at[1]) || !p.boxes[to].on(at[2], at[3]) {
			t.Errorf("the arrow %s does not meet its boxes: %v", name, at)
		}
	}
}
