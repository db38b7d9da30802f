package tako

import (
	"bufio"
	"errors"
	"strings"
)

// maxFrame bounds one event on the wire. The server's are a hundredth of it.
const maxFrame = 16 << 20

// frame is a Server-Sent Event (WHATWG HTML, section 9.2).
type frame struct{ id, name, data string }

// frames reads events one after the other.
type frames struct {
	r     *bufio.Reader
	id    string // of the last event that had one
	begun bool   // a byte order mark would have come
	cr    bool   // the last line ended with CR: an LF that follows is of that end
}

var errLongFrame = errors.New("an event is longer than 16 MiB")

// next reads an event. One that the end cuts off does not count, and io.EOF is a
// stream that was ended, not cut.
func (s *frames) next() (frame, error) {
	var f frame
	var data []string
	size := 0
	for {
		line, err := s.line(&size)
		if err != nil {
			return f, err
		}
		if line == "" {
			if len(data) > 0 {
				f.id, f.data = s.id, strings.Join(data, "\n")
				return f, nil
			}
			size, f.name = 0, "" // comments, or a name without data
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			if !strings.Contains(value, "\x00") {
				s.id = value
			}
		case "event":
			f.name = value
		case "data":
			data = append(data, value)
		}
	}
}

// line reads a line without its end, which is LF, CR or both.
func (s *frames) line(size *int) (string, error) {
	var line []byte
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return "", err // a line without an end is none
		}
		if *size++; *size > maxFrame {
			return "", errLongFrame
		}
		after := s.cr
		s.cr = c == '\r'
		switch {
		case c == '\n' && after:
		case c == '\n' || c == '\r':
			return s.unmarked(string(line)), nil
		default:
			line = append(line, c)
		}
	}
}

// unmarked takes the byte order mark off the first line.
func (s *frames) unmarked(line string) string {
	if s.begun {
		return line
	}
	s.begun = true
	return strings.TrimPrefix(line, "\ufeff")
}
