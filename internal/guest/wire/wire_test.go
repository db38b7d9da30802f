package wire

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// message is what every message can do, through a pointer.
type message interface{ Decode([]byte) error }

// messages has one of each, by type, and append for any of them.
func messages() map[Type]message {
	return map[Type]message{
		TypeGreet: new(Greet), TypeMkdir: new(Mkdir), TypePutBegin: new(PutBegin), TypeRun: new(Run),
		TypeDiscard: new(Discard), TypeSignal: new(Signal), TypeCollect: new(Collect), TypeHello: new(Hello),
		TypeDone: new(Done), TypeStarted: new(Started), TypeStartFailed: new(StartFailed), TypeStdinCredit: new(StdinCredit),
		TypeExited: new(Exited), TypeFileBegin: new(FileBegin), TypeFileBad: new(FileBad), TypeSkipped: new(Skipped),
		TypeCollectEnd: new(CollectEnd), TypeFatal: new(Fatal), TypeHeld: new(Held),
		TypeRelease: new(Release),
	}
}

func appendMessage(m message, dst []byte) []byte {
	return m.(interface{ Append([]byte) []byte }).Append(dst)
}

// What is written is read back, behind whatever was in the buffer before.
func TestRoundTrip(t *testing.T) {
	for kind, blank := range messages() {
		t.Run(kind.String(), rapid.MakeCheck(func(t *rapid.T) {
			want := reflect.New(reflect.TypeOf(blank).Elem())
			draw(t, want.Elem())
			before := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "before")
			frame := appendMessage(want.Interface().(message), before)[len(before):]
			gotKind, n, err := ParseHeader(frame)
			if err != nil || gotKind != kind || n != len(frame)-HeaderSize {
				t.Fatalf("ParseHeader = %v, %d, %v; want %v, %d", gotKind, n, err, kind, len(frame)-HeaderSize)
			}
			got := reflect.New(want.Type().Elem())
			if err := got.Interface().(message).Decode(frame[HeaderSize:]); err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Fatalf("got %+v, want %+v", got.Elem(), want.Elem())
			}
		}))
	}
}

// draw fills v with a value that is in range for its type.
func draw(t *rapid.T, v reflect.Value) {
	ranges := map[reflect.Type]uint64{
		reflect.TypeFor[Phase]():  uint64(PhaseHeld),
		reflect.TypeFor[Reason](): uint64(reasonEnd - 1),
		reflect.TypeFor[Stream](): uint64(Stderr),
	}
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Name
		switch field.Kind() {
		case reflect.String:
			field.SetString(drawText(t, name))
			if name == "Hold" { // a held program has no input and is heard
				field.SetString("")
			}
		case reflect.Bool:
			field.SetBool(rapid.Bool().Draw(t, name))
		case reflect.Slice:
			for range rapid.IntRange(0, MaxRlimits).Draw(t, "n") {
				field.Set(reflect.Append(field, reflect.ValueOf(Rlimit{
					Resource: rapid.Uint8().Draw(t, "resource"), Soft: rapid.Uint64().Draw(t, "soft"), Hard: rapid.Uint64().Draw(t, "hard"),
				})))
			}
		default:
			high := uint64(1)<<field.Type().Bits() - 1
			if top, ok := ranges[field.Type()]; ok {
				high = top
			}
			low := uint64(0)
			switch {
			case field.Type() == reflect.TypeFor[Reason](), field.Type() == reflect.TypeFor[Stream]():
				low = 1
			case v.Type() == reflect.TypeFor[Signal]():
				low, high = 1, 64
			case v.Type() == reflect.TypeFor[Run]():
				low, high = 1, map[string]uint64{"NArgs": 2048, "NEnv": 2048, "Discard": 6, "UID": 1 << 31, "GID": 1 << 31}[name]
				if name == "Discard" {
					field.SetUint(2 * rapid.Uint64Range(0, 3).Draw(t, name))
					continue
				}
			}
			field.SetUint(rapid.Uint64Range(low, high).Draw(t, name))
		}
	}
}

func drawText(t *rapid.T, name string) string {
	switch name {
	case "Name":
		return rapid.StringMatching(`[a-zé][a-z .é]{0,20}(/[a-z0-9_-]{1,40}){0,4}`).Draw(t, name)
	case "Path", "Dir", "Root":
		return rapid.StringMatching(`(/[a-z.]{1,40}){1,20}`).Draw(t, name)
	}
	return rapid.String().Draw(t, name)
}

func TestParseHeader(t *testing.T) {
	for _, c := range []struct {
		header []byte
		want   error
	}{
		{[]byte{byte(TypeGreet), 0, 0, 0}, nil},
		{[]byte{byte(TypeStdout), 0, 0, 1}, nil},
		{[]byte{byte(TypeStdout), 1, 0, 1}, ErrLength},
		{[]byte{byte(TypeStdout), 0xff, 0xff, 0xff}, ErrLength},
		{[]byte{0, 0, 0, 0}, ErrType},
		{[]byte{byte(TypeOpen) + 1, 0, 0, 0}, ErrType},
		{[]byte{byte(TypeHeld) + 1, 0, 0, 0}, ErrType},
		{[]byte{0xff, 0, 0, 0}, ErrType},
		{[]byte{byte(TypeGreet), 0, 0}, ErrPayload},
	} {
		if _, _, err := ParseHeader(c.header); err != c.want {
			t.Errorf("ParseHeader(%x) = %v, want %v", c.header, err, c.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	run := func(change func(*Run)) []byte {
		m := Run{Path: "/p", Dir: "/", UID: 1, GID: 1, NArgs: 1}
		change(&m)
		return m.Append(nil)[HeaderSize:]
	}
	for name, c := range map[string]struct {
		m       message
		payload []byte
	}{
		"nothing":         {new(Hello), nil},
		"a byte too much": {new(Done), []byte{0, 0, 0}},
		"a byte too few":  {new(Done), []byte{0}},
		"flag of 2":       {new(Signal), []byte{9, 2}},
		"signal 0":        {new(Signal), []byte{0, 0}},
		"signal 65":       {new(Signal), []byte{65, 0}},
		"stream 0":        {new(Discard), []byte{0}},
		"stream 3":        {new(Discard), []byte{3}},
		"reason 0":        {new(FileBad), []byte{0}},
		"new reason":      {new(FileBad), []byte{byte(reasonEnd)}},
		"long text":       {new(Skipped), append([]byte{1, 0x01, 0x10}, make([]byte, 4097)...)},
		"text cut off":    {new(Skipped), []byte{1, 5, 0, 'a'}},
		"hostile name":    {new(FileBegin), FileBegin{Name: "../etc/passwd"}.Append(nil)[HeaderSize:]},
		"uid 0":           {new(Run), run(func(m *Run) { m.UID = 0 })},
		"gid 0":           {new(Run), run(func(m *Run) { m.GID = 0 })},
		"relative path":   {new(Run), run(func(m *Run) { m.Path = "p" })},
		"relative dir":    {new(Run), run(func(m *Run) { m.Dir = "" })},
		"NUL":             {new(Run), run(func(m *Run) { m.Path = "/\x00" })},
		"no arguments":    {new(Run), run(func(m *Run) { m.NArgs = 0 })},
		"4097 strings":    {new(Run), run(func(m *Run) { m.NEnv = MaxStrings })},
		"stream to drop":  {new(Run), run(func(m *Run) { m.Discard = 1 })},
		"held nowhere":    {new(Run), run(func(m *Run) { m.Hold = "/etc/passwd" })},
		"held with input": {new(Run), run(func(m *Run) { m.Hold, m.Stdin = "/code/main.py", true })},
		"held, unheard":   {new(Run), run(func(m *Run) { m.Hold, m.Discard = "/code/main.py", 1<<Stdout })},
		"17 limits":       {new(Run), run(func(m *Run) { m.Rlimits = make([]Rlimit, MaxRlimits+1) })},
	} {
		if err := c.m.Decode(c.payload); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestValidName(t *testing.T) {
	part := strings.Repeat("a", MaxPart)
	for name, want := range map[string]bool{
		"a": true, "a/b/c": true, "ünï": true, "a b": true, "-rf": true, part: true, "a..b": true,
		strings.Repeat(part+"/", 15) + part: true,
		"":                                  false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/../b": false, ".hidden": false,
		"a/.hidden/b": false, "a\x00b": false, "a\nb": false, "a\x1bb": false, "a\x7fb": false, "a\u0085b": false,
		"\xff": false, part + "a": false, strings.Repeat(part+"/", 16) + "a": false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%.40q) = %v", name, got)
		}
	}
}

func TestSplitPath(t *testing.T) {
	for path, want := range map[string][]string{
		"/code/main.py": {"code", "main.py"}, "/tmp/.cache/x": {"tmp", ".cache", "x"}, "/output/a": {"output", "a"},
		"": nil, "/": nil, "/code": nil, "/code/": nil, "code/a": nil, "/etc/passwd": nil, "/code/../etc/passwd": nil,
		"/code//a": nil, "/code/./a": nil, "/code/a\x00": nil, "/code/" + strings.Repeat("a", 256): nil, "/codex/a": nil,
		"/code/" + strings.Repeat("a/", 2048) + "a": nil,
	} {
		if got, ok := SplitPath(path); ok != (want != nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("SplitPath(%.40q) = %v, %v", path, got, ok)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]Type{}
	for i := range 256 {
		kind := Type(i)
		if name := kind.String(); seen[name] != 0 {
			t.Errorf("%v and %v have one name", kind, seen[name])
		} else {
			seen[name] = kind
		}
	}
	if TypeHeld.String() != "Held" || TypeOpen.String() != "Open" || StageHold.String() != "hold" ||
		ReasonChanged.String() != "changed while read" || Reason(0).String() != "unknown" || Stage(200).String() != "unknown step" {
		t.Error("a table of names is shifted")
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(Greet{}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, n, err := ParseHeader(b)
		if err == nil && (n < 0 || n > MaxPayload || !kind.Known()) {
			t.Errorf("ParseHeader(%x) = %v, %d", b, kind, n)
		}
	})
}

// FuzzMessages decodes any payload as every message. One that is accepted is
// the one form of what it says.
func FuzzMessages(f *testing.F) {
	for kind, m := range messages() {
		f.Add(uint8(kind), appendMessage(m, nil)[HeaderSize:])
	}
	f.Add(uint8(TypeRun), Run{Path: "/p", Dir: "/", UID: 1, GID: 1, NArgs: 1, Rlimits: make([]Rlimit, 2)}.Append(nil)[HeaderSize:])
	f.Add(uint8(TypeRun), Run{Path: "/p", Dir: "/", Hold: "/code/main.py", UID: 1, GID: 1, NArgs: 1}.Append(nil)[HeaderSize:])
	f.Add(uint8(TypeFileBegin), FileBegin{Name: "a/b", Size: 1}.Append(nil)[HeaderSize:])
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		m := messages()[Type(kind)]
		if m == nil || m.Decode(payload) != nil {
			return
		}
		if again := appendMessage(m, nil)[HeaderSize:]; string(again) != string(payload) {
			t.Errorf("%v: %x is written as %x", Type(kind), payload, again)
		}
	})
}
