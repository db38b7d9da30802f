package tako

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxFrame bounds one event on the wire. The server's are a hundredth of it.
const maxFrame = 16 << 20

// frame is a Server-Sent Event (WHATWG HTML, section 9.2).
type frame struct{ id, name, data string }

// frames reads events one after the other.
type frames struct {
	r  *bufio.Reader
	id string // of the last event that had one
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
			if len(data) > 0 || f.name != "" {
				f.id, f.data = s.id, strings.Join(data, "\n")
				return f, nil
			}
			size = 0 // comments
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			s.id = value
		case "event":
			f.name = value
		case "data":
			data = append(data, value)
		}
	}
}

// line reads a line without its end.
func (s *frames) line(size *int) (string, error) {
	var line []byte
	for {
		part, err := s.r.ReadSlice('\n')
		if *size += len(part); *size > maxFrame {
			return "", errLongFrame
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return "", io.EOF // a line without an end is none
		default:
			return "", err
		}
	}
}
