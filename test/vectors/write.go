package vectors

import (
	"bytes"
	"encoding/json"
	"os"
)

// WriteExchanges writes them as people like to read them: a few lines each.
func WriteExchanges(file string, all []Exchange) error {
	var out bytes.Buffer
	for i, x := range all {
		before := ",\n  "
		if i == 0 {
			before = "[\n  "
		}
		head, err := compact(x.Head)
		if err != nil {
			return err
		}
		out.WriteString(before + string(bytes.TrimSuffix(head, []byte("}"))))
		lines := []line{{"request", x.Request}, {"answer", x.Answer}}
		if x.Error != nil {
			lines = append(lines, line{"error", x.Error})
		}
		for _, l := range lines {
			text, err := compact(l.value)
			if err != nil {
				return err
			}
			out.WriteString(",\n   \"" + l.name + "\":" + string(text))
		}
		out.WriteByte('}')
	}
	out.WriteString("\n]\n")
	return os.WriteFile(file, out.Bytes(), 0o644)
}

type line struct {
	name  string
	value any
}

func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
