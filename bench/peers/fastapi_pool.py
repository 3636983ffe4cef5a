"""FastAPI with a multiprocessing.Pool, as its users write it: a model, a handler, pool.map."""
import multiprocessing
import os

import fastapi
import pydantic
import uvicorn


def squared(x):
    return x * x


def echo(x):
    return x


table = {"squared": squared, "length": len, "upper": str.upper, "echo": echo}
app = fastapi.FastAPI()


class Call(pydantic.BaseModel):
    function: str
    items: list


@app.post("/map")
def map_items(call: Call):
    return {"results": pool.map(table[call.function], call.items)}


if __name__ == "__main__":
    pool = multiprocessing.Pool()
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="error")
