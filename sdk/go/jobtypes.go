package tako

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// JobTypes lists job types.
func (c *Client) JobTypes(ctx context.Context) ([]JobType, error) {
	return listOf[JobType](ctx, c, "/job-types")
}

// JobType answers a job type.
func (c *Client) JobType(ctx context.Context, name string) (*JobType, error) {
	path, err := pathOf("/job-types/", name, "")
	if err != nil {
		return nil, err
	}
	return answerOf[JobType](ctx, c, get(path, nil))
}

// CreateJobType makes the job type r.Name. ErrConflict where there is one.
func (c *Client) CreateJobType(ctx context.Context, r JobTypeRequest) (*JobType, error) {
	return c.setJobType(ctx, http.MethodPost, r)
}

// ReplaceJobType makes or replaces the job type r.Name.
func (c *Client) ReplaceJobType(ctx context.Context, r JobTypeRequest) (*JobType, error) {
	return c.setJobType(ctx, http.MethodPut, r)
}

func (c *Client) setJobType(ctx context.Context, method string, r JobTypeRequest) (*JobType, error) {
	path, err := pathOf("/job-types/", r.Name, "")
	if err != nil {
		return nil, err
	}
	r.Name = "" // it is in the path
	return answerOf[JobType](ctx, c, call{method: method, path: path, body: r})
}

// DeleteJobType removes a job type.
func (c *Client) DeleteJobType(ctx context.Context, name string) (*JobTypeRemoved, error) {
	path, err := pathOf("/job-types/", name, "")
	if err != nil {
		return nil, err
	}
	return answerOf[JobTypeRemoved](ctx, c, remove(path))
}

// BuildJobType builds a job type and waits for it. The tag names the version; it
// may be empty.
func (c *Client) BuildJobType(ctx context.Context, name, tag string) (*Build, error) {
	path, err := pathOf("/job-types/", name, "/build")
	if err != nil {
		return nil, err
	}
	q := post(path, nil)
	q.query, q.within = url.Values{}, forever
	setIf(q.query, "version_tag", tag)
	return answerOf[Build](ctx, c, q)
}

// JobTypeVersions lists the builds of a job type, newest first.
func (c *Client) JobTypeVersions(ctx context.Context, name string) ([]JobTypeVersion, error) {
	path, err := pathOf("/job-types/", name, "/versions")
	if err != nil {
		return nil, err
	}
	return listOf[JobTypeVersion](ctx, c, path)
}

// BuildLog opens what a build said. The caller closes it.
func (c *Client) BuildLog(ctx context.Context, name, buildID string) (io.ReadCloser, error) {
	before, err := pathOf("/job-types/", name, "/builds/")
	if err != nil {
		return nil, err
	}
	path, err := pathOf(before, buildID, "/log")
	if err != nil {
		return nil, err
	}
	return c.reader(ctx, get(path, nil))
}

// BuildLock answers what exactly a build installed.
func (c *Client) BuildLock(ctx context.Context, name, buildID string) (*Lock, error) {
	before, err := pathOf("/job-types/", name, "/builds/")
	if err != nil {
		return nil, err
	}
	path, err := pathOf(before, buildID, "/lock")
	if err != nil {
		return nil, err
	}
	return answerOf[Lock](ctx, c, get(path, nil))
}

// listOf gets an answer that is a list.
func listOf[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	list, err := answerOf[[]T](ctx, c, get(path, nil))
	if err != nil {
		return nil, err
	}
	return *list, nil
}
