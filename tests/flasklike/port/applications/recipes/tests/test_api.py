import json


def test_recipes_as_json(client):
    response = client.get("/api/recipes")
    assert response.json[0] == {
        "slug": "soup",
        "title": "Soup",
        "minutes": 20,
        "made": "2024-05-01",
    }
    assert response.headers["X-Steps"] == "before,user,api,after"
    assert int(response.headers["X-Size"]) == len(response.data)


def test_create_change_delete(client):
    response = client.post("/api/recipes", json={"slug": "pie", "title": "Pie", "minutes": 5})
    assert (response.status_code, response.location) == (201, "/api/recipes/pie")
    assert client.patch("/api/recipes/pie", json={"minutes": 6}).get_json()["minutes"] == 6
    assert client.delete("/api/recipes/pie").status_code == 204
    missing = client.get("/api/recipes/pie")
    assert (missing.status_code, missing.json) == (404, {"message": "no such recipe"})


def test_errors_are_json(client):
    assert client.post("/api/recipes", json={"slug": "x"}).json == {"missing": "title"}
    assert client.post("/api/recipes", data="x", content_type="text/plain").status_code == 415
    assert client.post("/api/recipes", data="{", content_type="application/json").status_code == 400
    response = client.get("/api/recipes", headers={"X-Version": "2"})
    assert response.get_json() == {"known": ["1"], "message": "unknown version"}
    assert client.get("/api/none").json["error"].startswith("The requested URL")
    assert client.get("/api/admin/nothing").json == {"where": "admin"}


def test_bodies(client):
    assert client.post("/api/echo", data=b"\x00\x01", content_type="a/b").data == b"\x00\x01"
    assert client.post("/api/sum?n=1", data={"n": ["2", "3"]}).json == {"sum": 6}
    document = json.dumps({"a": 1, "b": 0})
    response = client.post("/api/all?name=a", data=document, content_type="application/json")
    assert response.json["all"] is True
    assert client.post("/api/all?name=a&name=b", json={"a": 1}).json == {"all": False}


def test_visits_are_counted(client):
    counts = [client.get("/api/admin/visits").json["visits"] for _ in range(3)]
    assert counts == [1, 2, 3]


def test_streams(client):
    rows = client.get("/stream/rows.csv")
    assert rows.mimetype == "text/csv"
    assert rows.text == "slug,minutes\nsoup,20\nbread,150\n"
    assert client.get("/stream/hello?name=Ann").data == b"Hello Ann!"
    assert client.get("/stream/rendered").text == "[<0><1><2>]"
    assert "<h1>2 recipes</h1>" in client.get("/stream/page").text
